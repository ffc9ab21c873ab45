"""The answers of the peers: equal to claimd's byte for byte, so that no contender writes less than another."""

import orjson

from claimd.domain.claims import claim_id
from claimd.domain.times import to_rfc3339

JSON = "application/json"
PROBLEM = "application/problem+json"
# The round that the constant answers for, with an id as long as those of the contenders.
CONSTANT_ROUND = "bench-0-lane"
_STATUS = {b"granted": 201, b"replayed": 200, b"round_not_found": 404}
_CONFLICT = 409
_TITLE = "Every pack of this round has been claimed."


def answer(round_id: str, outcome: bytes, claim: bytes) -> tuple[int, str, bytes]:
    """Return status, content type and body for a reply of `claim_one.lua`."""
    status = _STATUS.get(outcome, _CONFLICT)
    if not claim:
        code = outcome.decode()
        document = {"type": f"urn:claimd:problem:{code}", "title": _TITLE, "status": status, "code": code}
        return status, PROBLEM, orjson.dumps(document)
    document = {"claim": claim_document(round_id, claim), "replayed": outcome == b"replayed"}
    return status, JSON, orjson.dumps(document)


def claim_document(round_id: str, claim: bytes) -> dict[str, str | int]:
    """Return the JSON object of a claim that is stored as `serial:claimed_at_ms`."""
    serial, _, claimed_at_ms = claim.partition(b":")
    return {
        "round": round_id,
        "id": claim_id(round_id, int(serial)),
        "serial": int(serial),
        "claimed_at": to_rfc3339(int(claimed_at_ms)),
    }
