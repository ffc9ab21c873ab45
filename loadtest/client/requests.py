"""The requests of a visit as the harness's clients send them: one place that builds each, so that all loads send alike.

A visit is: read the round, get a pass for a bearer token, claim, look the claim up. No request has a body. What a
front end sends besides is its head (`heads.py`): equal for all requests, or different from person to person.
"""

from collections.abc import Iterable
from typing import Final

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.heads import EqualHeads, Heads

CLAIM_END: Final = b"\r\n\r\n"


class Requests:
    """Builds the requests to one round at one host. Each has the next id of a request, where the heads have ids."""

    def __init__(
        self, round_id: str, host: str, heads: Heads | None = None, fields: bytes = b"", first_id: int = 0
    ) -> None:
        """`host` is the Host field. Without `heads` they are equal.

        `fields` are more header lines of each request, every one ended by CRLF. Processes that send parts of one load
        begin at different `first_id`.
        """
        self._heads = heads or EqualHeads()
        self._id = first_id
        path = f"/v1/rounds/{round_id}"
        more = fields.removesuffix(b"\r\n")
        end = f" HTTP/1.1\r\nHost: {host}".encode() + (b"\r\n" + more if more else b"")
        self._read_round = f"GET {path}".encode() + end
        self._issue_pass = f"POST {path}/passes".encode() + end + b"\r\nContent-Length: 0"
        self._claim = f"POST {path}/claims".encode() + end + b"\r\nContent-Length: 0"
        self._show_claim = f"GET {path}/claims/me".encode() + end

    def read_round(self, person: int, etag: bytes = b"") -> bytes:
        """`GET /v1/rounds/{id}`, with `If-None-Match` where the client has the round with this `etag`."""
        head = self._heads.of(person)
        condition = b"\r\nif-none-match: " + etag if etag else b""
        return b"".join((self._read_round, self._next_id(), head.before, condition, head.after))

    def issue_pass(self, person: int, token: bytes) -> bytes:
        """`POST …/passes` with a bearer token."""
        return self._with_credentials(self._issue_pass, person, b"Bearer ", token)

    def claim(self, person: int, pass_text: bytes) -> bytes:
        """`POST …/claims` with a pass."""
        return self._with_credentials(self._claim, person, b"Pass ", pass_text)

    def show_claim(self, person: int, pass_text: bytes) -> bytes:
        """`GET …/claims/me` with a pass."""
        return self._with_credentials(self._show_claim, person, b"Pass ", pass_text)

    def claims(self, persons: Iterable[int], passes: bytes) -> list[bytes]:
        """A claim for each of the packed `passes` (`credentials.mint`), which belong to `persons`, in their order."""
        starts = range(0, len(passes), PASS_CHARACTERS)
        return [
            self.claim(person, passes[at : at + PASS_CHARACTERS]) for person, at in zip(persons, starts, strict=True)
        ]

    def _with_credentials(self, begin: bytes, person: int, scheme: bytes, text: bytes) -> bytes:
        before, name, after = self._heads.of(person)
        return b"".join((begin, self._next_id(), before, name, scheme, text, after))

    def _next_id(self) -> bytes:
        number = self._id
        self._id = number + 1
        return self._heads.request_id(number)


def claim_head(round_id: str, host: str) -> bytes:
    """A claim up to its pass, with equal heads, for loops that add the pass and CLAIM_END by themselves."""
    return Requests(round_id, host).claim(0, b"").removesuffix(CLAIM_END)
