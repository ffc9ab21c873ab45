"""Credentials: identity digests, passes for the crowd, bearer tokens for app users.

Passes of the crowd are minted here with the secret instead of being requested one by one: the app users do that, and
1.8 million JWTs would measure PyJWT. They are minted before the round exists, into one packed blob: as 1.8 million
`bytes` objects they would take 175 MB, spread over the heap; packed they are 115 MB, and minting takes 8 s of one core.
Minted at send time they would cost a fifth of what a request may.
"""

import base64
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import jwt
import numpy as np
import numpy.typing as npt

from claimd.domain.claims import IDENTITY_BYTES
from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import PASS_CHARACTERS, Passes
from loadtest.crowd.schedule import Forgery, forgery_of

# Digests as numpy byte strings, which compare and sort at C speed. numpy takes zeros at the end of such a string for
# padding, so each digest has a byte that is not zero behind it.
Identities = npt.NDArray[np.bytes_]
IDENTITY: Final = np.dtype(f"S{IDENTITY_BYTES + 1}")
IDENTITY_END: Final = b"\x01"
# Behind version, expiry and epoch: see `claimd/identity/passes.py`.
_IDENTITY_AT: Final = 11

_VALID_FOR_MS: Final = 12 * 3600 * 1000
_EXPIRED_FOR_MS: Final = 60_000
_TOKEN_SECONDS: Final = 3 * 3600
_BREATHE_EVERY: Final = 5_000


def subject(seed: int, person: int) -> str:
    """The `sub` of a person's bearer token."""
    return f"person-{seed}-{person}"


def identities(keys: Keys, seed: int, persons: Iterable[int], breathe: Callable[[], None] = lambda: None) -> Identities:
    """The identity digests of `persons`, in their order. `breathe` is called once in 5,000, to let greenlets run."""
    packed = bytearray()
    key = keys.identity_key
    for count, person in enumerate(persons):
        packed += identity_digest(key, subject(seed, person)) + IDENTITY_END
        if count % _BREATHE_EVERY == 0:
            breathe()
    return np.frombuffer(bytes(packed), IDENTITY)


def identities_of(passes: bytes) -> Identities:
    """The identity digests in packed passes, as the bytes have them: no signature is checked.

    Raises ValueError for what is not base64 of whole passes.
    """
    raw = np.frombuffer(base64.urlsafe_b64decode(passes), np.uint8).reshape(-1, PASS_CHARACTERS // 4 * 3)
    ended = np.full((len(raw), IDENTITY.itemsize), IDENTITY_END[0], np.uint8)
    ended[:, :IDENTITY_BYTES] = raw[:, _IDENTITY_AT : _IDENTITY_AT + IDENTITY_BYTES]
    return ended.reshape(-1).view(IDENTITY)


def mint(
    keys: Keys,
    round_id: str,
    seed: int,
    persons: npt.NDArray[np.int32],
    people: int,
    breathe: Callable[[], None] = lambda: None,
) -> bytes:
    """The passes of `persons`, packed: 68 characters each, in their order. Numbers from `people` on are bad passes."""
    passes = Passes(keys.pass_key)
    key, issue = keys.identity_key, passes.issue_pass
    expires_at_ms = int(time.time() * 1000) + _VALID_FOR_MS
    packed = bytearray()
    for count, person in enumerate(persons.tolist()):
        if person < people:
            packed += issue(round_id, identity_digest(key, subject(seed, person)), expires_at_ms).encode()
        else:
            packed += _bad_pass(keys, round_id, seed, person - people).encode()
        if count % _BREATHE_EVERY == 0:
            breathe()
    return bytes(packed)


def _bad_pass(keys: Keys, round_id: str, seed: int, number: int) -> str:
    """Bad pass `number`, for the identity of a real person: a claim with it must never be granted."""
    passes = Passes(keys.pass_key)
    identity = identity_digest(keys.identity_key, subject(seed, number))
    now_ms = int(time.time() * 1000)
    forgery = forgery_of(number)
    if forgery is Forgery.EXPIRED:
        return passes.issue_pass(round_id, identity, now_ms - _EXPIRED_FOR_MS)
    if forgery is Forgery.OTHER_ROUND:
        return passes.issue_pass(f"not-{round_id}", identity, now_ms + _VALID_FOR_MS)
    good = passes.issue_pass(round_id, identity, now_ms + _VALID_FOR_MS)
    return good[:-1] + ("A" if good[-1] != "A" else "B")


class TokenIssuer:
    """Signs bearer tokens as the identity provider would, with the first key of a JWKS file that can sign.

    A symmetric key can, and one with its private member (`d`): see `signing_keys`.
    """

    def __init__(
        self, jwks: Path, issuer: str | None = None, audience: str | None = None, identity: str = "sub"
    ) -> None:
        """Of several issuers or audiences, comma-separated as claimd takes them, the first is used.

        Raises ValueError where the file has no key that can sign.
        """
        self._identity = identity
        for key in json.loads(jwks.read_text())["keys"]:
            if key.get("alg") and (key.get("kty") == "oct" or "d" in key):
                self._key, self.algorithm = jwt.PyJWK(key).key, key["alg"]
                self._headers = {"kid": key["kid"]}
                break
        else:
            raise ValueError(
                f"{jwks} has no key with which tokens can be signed: it needs oct for HS256, or a private key"
            )
        self._extra: dict[str, Any] = {}
        if issuer:
            self._extra["iss"] = issuer.partition(",")[0].strip()
        if audience:
            self._extra["aud"] = audience.partition(",")[0].strip()

    def token(self, sub: str) -> str:
        """A bearer token for `sub`, under the claim that names the person, good for three hours."""
        claims = {self._identity: sub, "exp": int(time.time()) + _TOKEN_SECONDS, **self._extra}
        return jwt.encode(claims, self._key, algorithm=self.algorithm, headers=self._headers)
