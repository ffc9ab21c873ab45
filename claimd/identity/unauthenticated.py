"""The reasons for which credentials are rejected: a closed list, each with a sentence.

No reason contains anything of the token, so all of them may be logged, sent to the client and used as metric labels.
"""

from enum import StrEnum


class Unauthenticated(StrEnum):
    """The reason of a 401. The value is its label in metrics and logs; `sentence` is for the client's developer."""

    NO_CREDENTIALS = "no_credentials"
    NOT_ACCEPTED = "not_accepted"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    WRONG_ALGORITHM = "wrong_algorithm"
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    OUTDATED = "outdated"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    NO_EXPIRY = "no_expiry"
    NO_IDENTITY = "no_identity"

    @property
    def sentence(self) -> str:
        """What is wrong with the credentials; contains no quotation marks, as it is quoted in a header."""
        return _SENTENCES[self]


_SENTENCES = {
    Unauthenticated.NO_CREDENTIALS: "there are no credentials of a scheme that this address takes",
    Unauthenticated.NOT_ACCEPTED: "bearer tokens are not accepted: no JWKS is configured",
    Unauthenticated.MALFORMED: "the credentials are malformed",
    Unauthenticated.UNKNOWN_KEY: "the kid names no key of the JWKS",
    Unauthenticated.WRONG_ALGORITHM: "the alg is not that of the key",
    Unauthenticated.BAD_SIGNATURE: "the signature is not good for this",
    Unauthenticated.EXPIRED: "expired",
    Unauthenticated.OUTDATED: "the eligibility was edited, or the passes revoked, since this pass was issued",
    Unauthenticated.NOT_YET_VALID: "nbf or iat lies in the future",
    Unauthenticated.WRONG_ISSUER: "the iss is not one that is accepted",
    Unauthenticated.WRONG_AUDIENCE: "the aud is not one that is accepted",
    Unauthenticated.NO_EXPIRY: "there is no exp",
    Unauthenticated.NO_IDENTITY: "the claim that names the person is missing, or no string of 1 to 512 bytes",
}
