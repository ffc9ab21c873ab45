"""The JSON of claims, rounds and archives, as the models in `claimd.contract` describe it.

Plain dictionaries for orjson: a validated model for each round of a list would cost more than the reading of the list.
The tests hold every answer against its model.
"""

from typing import Any

from claimd.domain.archived import Archived
from claimd.domain.claims import Claim
from claimd.domain.rounds import Round
from claimd.domain.times import to_rfc3339


def claim_json(claim: Claim) -> dict[str, Any]:
    """A claim, as `claimd.contract.claims.Claim`."""
    return {
        "round": claim.round_id,
        "id": claim.id,
        "serial": claim.serial,
        "claimed_at": to_rfc3339(claim.claimed_at_ms),
    }


def round_json(item: Round, now_ms: int) -> dict[str, Any]:
    """A round at `now_ms` of the server's clock, as `claimd.contract.rounds.Round`."""
    definition = item.definition
    return {
        "id": item.id,
        "title": definition.title,
        "status": item.status(now_ms),
        "total": definition.total,
        "issued": item.held,
        "remaining": item.remaining,
        "opens_at": to_rfc3339(definition.opens_at_ms),
        "closes_at": to_rfc3339(definition.closes_at_ms),
        "paused": item.paused,
        "pack": definition.pack,
    }


def operator_round_json(item: Round, now_ms: int) -> dict[str, Any]:
    """A round for operators, as `claimd.contract.rounds.OperatorRound`: the public members first."""
    definition = item.definition
    return {
        **round_json(item, now_ms),
        "version": item.version,
        "eligibility": definition.eligibility,
        # No round has a campaign yet.
        "campaign": None,
    }


def archived_json(item: Archived) -> dict[str, Any]:
    """An archived round for operators: where its archive is, and what was in it."""
    return {
        "id": item.id,
        "title": item.title,
        "total": item.total,
        "issued": item.issued,
        "version": item.version,
        "file": item.file,
        "sha256": item.sha256,
        "archived_at": to_rfc3339(item.at_ms),
        "who": item.who,
        "reason": item.reason,
    }
