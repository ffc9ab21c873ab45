"""The claim as the harness's clients send it: one spelling, so that every load asks the gateway for the same work.

It is what a browser's `fetch` sends at the least: a POST without a body, with the pass as credentials. The gateway's
express lane takes it. Loops that send tens of thousands a second keep the head and add the pass by themselves:
`head + passes[at : at + PASS_CHARACTERS] + CLAIM_END`.
"""

from typing import Final

from claimd.identity.passes import PASS_CHARACTERS

CLAIM_END: Final = b"\r\n\r\n"


def claim_head(round_id: str, host: str, fields: bytes = b"") -> bytes:
    """A claim up to its pass. `host` is the Host field; `fields` are more header lines, each ended by CRLF."""
    return (
        b"POST /v1/rounds/%b/claims HTTP/1.1\r\nHost: %b\r\nAccept: application/json\r\n"
        b"Content-Length: 0\r\n%bAuthorization: Pass " % (round_id.encode(), host.encode(), fields)
    )


def claim_request(round_id: str, host: str, pass_text: str) -> bytes:
    """A whole claim with the pass `pass_text`."""
    return claim_head(round_id, host) + pass_text.encode() + CLAIM_END


def claim_requests(round_id: str, host: str, passes: bytes, fields: bytes = b"") -> list[bytes]:
    """A whole claim for each of the packed `passes` (`credentials.mint`), in their order."""
    head = claim_head(round_id, host, fields)
    starts = range(0, len(passes), PASS_CHARACTERS)
    return [head + passes[at : at + PASS_CHARACTERS] + CLAIM_END for at in starts]
