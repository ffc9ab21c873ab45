"""Bearer tokens of the identity provider: JWTs, checked against its JWKS. The key decides the algorithm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from claimd.identity.fresh_keys import KeyFinder
from claimd.identity.keys import MAX_SUBJECT_BYTES
from claimd.identity.unauthenticated import Unauthenticated

_REASONS: tuple[tuple[type[jwt.PyJWTError], Unauthenticated], ...] = (
    (jwt.InvalidAlgorithmError, Unauthenticated.WRONG_ALGORITHM),
    (jwt.InvalidSignatureError, Unauthenticated.BAD_SIGNATURE),
    (jwt.ExpiredSignatureError, Unauthenticated.EXPIRED),
    (jwt.ImmatureSignatureError, Unauthenticated.NOT_YET_VALID),
    (jwt.InvalidIssuerError, Unauthenticated.WRONG_ISSUER),
    (jwt.InvalidAudienceError, Unauthenticated.WRONG_AUDIENCE),
)
_REASONS_OF_MISSING = {
    "exp": Unauthenticated.NO_EXPIRY,
    "iss": Unauthenticated.WRONG_ISSUER,
    "aud": Unauthenticated.WRONG_AUDIENCE,
}


@dataclass(frozen=True, slots=True)
class Bearer:
    """A verified token: `subject` is the identity that it names, byte for byte, `token_claims` its whole payload."""

    subject: str
    token_claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must contain. Empty `issuers` or `audiences` are not checked.

    `identity` is the name of the claim that identifies the person. `leeway_seconds` is granted to exp, nbf and iat.
    """

    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    identity: str = "sub"
    leeway_seconds: float = 5.0


class BearerTokens:
    """Verifies tokens with the keys of a JWKS. Where `keys` is None no JWKS is configured, and it accepts no token."""

    def __init__(self, keys: KeyFinder | None, rules: TokenRules) -> None:
        self._keys = keys
        self._rules = rules
        self._options: Any = {
            "require": ["exp", rules.identity],
            # `_fits_audience` checks it instead: the library does not know the client_id of Amazon Cognito.
            "verify_aud": False,
            "verify_sub": False,
            # The id of a token (jti) is not used: the library would reject a token whose id is no string.
            "verify_jti": False,
        }

    async def verify_token(self, token: str) -> Bearer | Unauthenticated:
        """The bearer, or the reason why the token is rejected.

        Where the key is unknown it may wait up to WAIT_SECONDS for a new JWKS. Raises KeysUnavailable before the first.
        """
        if self._keys is None:
            return Unauthenticated.NOT_ACCEPTED
        kid = _key_name(token)
        if isinstance(kid, Unauthenticated):
            return kid
        key = await self._keys.find(kid)
        return Unauthenticated.UNKNOWN_KEY if key is None else self._judge(token, key)

    def _judge(self, token: str, key: jwt.PyJWK) -> Bearer | Unauthenticated:
        try:
            token_claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._rules.issuers or None,
                leeway=self._rules.leeway_seconds,
                options=self._options,
            )
        except jwt.MissingRequiredClaimError as error:
            return _REASONS_OF_MISSING.get(error.claim, Unauthenticated.NO_IDENTITY)
        except jwt.PyJWTError as error:
            return next((reason for kind, reason in _REASONS if isinstance(error, kind)), Unauthenticated.MALFORMED)
        except (ValueError, TypeError, OverflowError):
            # The library raises plain errors for some malformed tokens.
            return Unauthenticated.MALFORMED
        if not self._fits_audience(token_claims):
            return Unauthenticated.WRONG_AUDIENCE
        subject = token_claims[self._rules.identity]
        return Bearer(subject, token_claims) if _is_identity(subject) else Unauthenticated.NO_IDENTITY

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


def _key_name(token: str) -> str | Unauthenticated:
    """The `kid` of a token's header; MALFORMED where the header cannot be read, UNKNOWN_KEY where it has no `kid`."""
    try:
        # Only the header is passed on: the library reads a token byte by byte in Python, and would do so twice.
        header = jwt.get_unverified_header(f"{token.partition('.')[0]}..")
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        return Unauthenticated.MALFORMED
    kid = header.get("kid")
    return kid if isinstance(kid, str) and kid else Unauthenticated.UNKNOWN_KEY


def _is_identity(subject: Any) -> bool:
    try:
        return isinstance(subject, str) and 1 <= len(subject.encode()) <= MAX_SUBJECT_BYTES
    except UnicodeEncodeError:
        return False
