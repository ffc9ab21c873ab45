"""Bearer tokens of the identity provider: JWTs, checked against its JWKS. The key decides the algorithm.

PyJWT reads the keys and verifies signatures. Reading the token and checking its claims is done here, as PyJWT takes
several times as long for that as for a signature; a differential test holds both to the same verdicts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import orjson

from claimd.contract.limits import MAX_SUBJECT_BYTES
from claimd.identity.compact_tokens import Header, Malformed, decode_segment, read_header, read_object
from claimd.identity.fresh_keys import KeyFinder
from claimd.identity.keys import identity_digest
from claimd.identity.remembered_tokens import Remembered, RememberedTokens, hash_token
from claimd.identity.unauthenticated import Unauthenticated
from claimd.identity.verified import Verified

# A provider's tokens have the same few headers.
_MAX_HEADERS = 64
_MAX_HEADER_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must contain. Empty `issuers` or `audiences` are not checked.

    `identity` is the name of the claim that identifies the person. `leeway_seconds` is granted to exp, nbf and iat.
    """

    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    identity: str = "sub"
    leeway_seconds: float = 5.0


class _Rejected(Exception):
    """A token is rejected for this reason."""

    def __init__(self, reason: Unauthenticated) -> None:
        self.reason = reason


class BearerTokens:
    """Verifies tokens with the keys of a JWKS. Where `keys` is None no JWKS is configured, and it accepts no token.

    `identity_key` is the key of the identity digest; `clock` returns seconds since 1970.
    """

    def __init__(
        self,
        keys: KeyFinder | None,
        rules: TokenRules,
        identity_key: bytes,
        clock: Callable[[], float],
        remembered: RememberedTokens | None = None,
    ) -> None:
        self._keys = keys
        self._rules = rules
        self._identity_key = identity_key
        self._clock = clock
        self._remembered = remembered or RememberedTokens()
        # Of tokens that were verified only, so that no client fills it with headers of its own.
        self._headers: dict[bytes, Header] = {}

    async def verify_token(self, token: str) -> Verified | Unauthenticated:
        """The verified token, or the reason why it is rejected.

        Where the key is unknown it may wait up to WAIT_SECONDS for a new JWKS. Raises KeysUnavailable before the first.
        """
        if self._keys is None:
            return Unauthenticated.NOT_ACCEPTED
        verdict = self.verify_now(token)
        if verdict is not None:
            return verdict
        raw = token.encode("ascii")
        header = read_header(raw.partition(b".")[0])
        key = await self._keys.find(header.kid)
        return Unauthenticated.UNKNOWN_KEY if key is None else self._judge(raw, hash_token(raw), header, key)

    def verify_now(self, token: str) -> Verified | Unauthenticated | None:
        """Like `verify_token`, without waiting: None where `verify_token` has to wait, as keys may still come."""
        if self._keys is None:
            return Unauthenticated.NOT_ACCEPTED
        try:
            raw = token.encode("ascii")
            token_hash = hash_token(raw)
            known = self._remembered.recall(token_hash)
            if known is not None and self._keys.known(known.kid) is known.key:
                return self._use(known)
            segment = raw.partition(b".")[0]
            header = self._headers.get(segment) or read_header(segment)
        except (UnicodeEncodeError, Malformed):
            return Unauthenticated.MALFORMED
        if not header.kid:
            return Unauthenticated.UNKNOWN_KEY
        key = self._keys.known(header.kid)
        if key is None:
            return Unauthenticated.UNKNOWN_KEY if self._keys.settled else None
        return self._judge(raw, token_hash, header, key)

    def _use(self, token: Remembered) -> Verified | Unauthenticated:
        """The verdict on a remembered token, of which only the times are left to check."""
        now, leeway = self._clock(), self._rules.leeway_seconds
        if token.not_before is not None and token.not_before > now + leeway:
            return Unauthenticated.NOT_YET_VALID
        if token.expires_at <= now - leeway:
            return Unauthenticated.EXPIRED
        return token.verified

    def _judge(self, raw: bytes, token_hash: bytes, header: Header, key: jwt.PyJWK) -> Verified | Unauthenticated:
        try:
            payload = _signed_payload(raw, header, key)
            token_claims = _read_claims(payload)
            for name, reason in (
                ("exp", Unauthenticated.NO_EXPIRY),
                (self._rules.identity, Unauthenticated.NO_IDENTITY),
            ):
                if token_claims.get(name) is None:
                    return reason
            expires_at, not_before = self._check_times(token_claims)
            self._check_parties(token_claims)
        except Malformed:
            return Unauthenticated.MALFORMED
        except _Rejected as rejected:
            return rejected.reason
        subject = token_claims[self._rules.identity]
        if not _is_identity(subject):
            return Unauthenticated.NO_IDENTITY
        verified = Verified(subject, identity_digest(self._identity_key, subject), payload)
        self._remembered.remember(Remembered(token_hash, key, header.kid, expires_at, not_before, verified))
        self._keep_header(raw.partition(b".")[0], header)
        return verified

    def _check_times(self, token_claims: Mapping[str, Any]) -> tuple[int, int | None]:
        """The time of expiry, and the later of nbf and iat. Raises _Rejected or Malformed."""
        now, leeway = self._clock(), self._rules.leeway_seconds
        not_before = None
        for name in ("iat", "nbf"):
            if name in token_claims:
                seconds = _seconds(token_claims[name])
                if seconds > now + leeway:
                    raise _Rejected(Unauthenticated.NOT_YET_VALID)
                not_before = seconds if not_before is None else max(not_before, seconds)
        expires_at = _seconds(token_claims["exp"])
        if expires_at <= now - leeway:
            raise _Rejected(Unauthenticated.EXPIRED)
        return expires_at, not_before

    def _check_parties(self, token_claims: Mapping[str, Any]) -> None:
        """Raises _Rejected where the issuer or the audience is not one that is accepted."""
        if self._rules.issuers:
            issuer = token_claims.get("iss")
            if not isinstance(issuer, str) or issuer not in self._rules.issuers:
                raise _Rejected(Unauthenticated.WRONG_ISSUER)
        if not self._fits_audience(token_claims):
            raise _Rejected(Unauthenticated.WRONG_AUDIENCE)

    def _fits_audience(self, token_claims: Mapping[str, Any]) -> bool:
        """Whether `aud`, a string or a list of strings, contains an accepted audience.

        Access tokens of Amazon Cognito have no `aud`; their `client_id` is the value that its ID tokens have as `aud`.
        """
        if not self._rules.audiences:
            return True
        named = token_claims["aud"] if "aud" in token_claims else token_claims.get("client_id")
        values = named if isinstance(named, list) else [named]
        # RFC 7519, section 4.1.3: an array of strings. A list that contains anything else is rejected as a whole.
        return all(isinstance(value, str) for value in values) and any(
            value in self._rules.audiences for value in values
        )

    def _keep_header(self, segment: bytes, header: Header) -> None:
        if segment not in self._headers and len(segment) <= _MAX_HEADER_CHARACTERS:
            if len(self._headers) == _MAX_HEADERS:
                self._headers.clear()
            self._headers[segment] = header


def _signed_payload(raw: bytes, header: Header, key: jwt.PyJWK) -> bytes:
    """The payload, decoded, of a token that this key signed by its one algorithm. Raises Malformed or _Rejected."""
    signing_input, dot, signature_segment = raw.rpartition(b".")
    _, dots, payload_segment = signing_input.partition(b".")
    # Detached: the payload would not be in the token.
    if not dot or not dots or header.detached:
        raise Malformed
    payload, signature = decode_segment(payload_segment), decode_segment(signature_segment)
    if header.algorithm != key.algorithm_name:
        raise _Rejected(Unauthenticated.WRONG_ALGORITHM)
    if not key.Algorithm.verify(signing_input, key.key, signature):
        raise _Rejected(Unauthenticated.BAD_SIGNATURE)
    return payload


def _read_claims(payload: bytes) -> Mapping[str, Any]:
    """The claims to check, parsed five times as fast as `read_object`, with the same members. Raises Malformed.

    Integers of more than 64 bits become floats, which changes no verdict on a time. What the fast parser rejects
    (Infinity, a lone surrogate, deep nesting) is left to the other.
    """
    try:
        token_claims = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return read_object(payload)
    if not isinstance(token_claims, dict):
        raise Malformed
    return token_claims


def _seconds(value: Any) -> int:
    """A time of a token in whole seconds. Raises Malformed where it is none."""
    try:
        return int(value)
    except (ValueError, TypeError, OverflowError):
        raise Malformed from None


def _is_identity(subject: Any) -> bool:
    try:
        return isinstance(subject, str) and 1 <= len(subject.encode()) <= MAX_SUBJECT_BYTES
    except UnicodeEncodeError:
        return False
