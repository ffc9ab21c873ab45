"""Which bearer tokens the gateways accept, for the lines of a start: keys, issuer, audience, identity, leeway."""

from claimd.doctor.findings import Finding, ok, warning
from claimd.identity.fresh_keys import describe_keys
from claimd.identity.jwks import Jwks, JwksError, parse_jwks
from claimd.identity.jwks_location import is_url
from claimd.identity.jwks_source import jwks_source
from claimd.settings import Settings, SettingsError

_CHECK = "tokens"


async def check_tokens(settings: Settings) -> list[Finding]:
    """Read the JWKS and return findings on it and on the rules. Raises SettingsError for a file that cannot be used.

    A URL that cannot be read now is a warning: gateways start, and retry.
    """
    if settings.jwks is None:
        return [warning(_CHECK, "every bearer token is refused, as there is no JWKS", "name one with CLAIMD_JWKS")]
    source = jwks_source(settings.jwks)
    try:
        jwks = parse_jwks(source.name, await source.read())
    except JwksError as error:
        if not is_url(settings.jwks):
            raise SettingsError(f"CLAIMD_JWKS: {error}") from None
        keys = warning(_CHECK, str(error), "bearer tokens are answered 503 until it can be read")
    else:
        keys = _keys(source.name, jwks)
    return [keys, _rules(settings), *_not_checked(settings)]


def _keys(where: str, jwks: Jwks) -> Finding:
    passed_over = "".join(f"; passed over: {phrase}" for phrase in jwks.passed_over)
    message = f"{where} has {describe_keys(jwks)}{passed_over}"
    return ok(_CHECK, message) if jwks.keys else warning(_CHECK, message, "put the provider's signing keys there")


def _rules(settings: Settings) -> Finding:
    checked = [f"the person is {settings.jwt_identity}", f"leeway {settings.jwt_leeway:g} s"]
    for name, values in (("aud", settings.jwt_audiences), ("iss", settings.jwt_issuers)):
        if values:
            checked.insert(0, f"{name} {' or '.join(values)}")
    return ok(_CHECK, f"checked: signature, exp, nbf, iat; {'; '.join(checked)}")


def _not_checked(settings: Settings) -> list[Finding]:
    found = []
    if not settings.jwt_issuers:
        found.append(warning(_CHECK, "the issuer (iss) is not checked", "set CLAIMD_JWT_ISSUER"))
    if not settings.jwt_audiences:
        message = "the audience (aud) is not checked: tokens that are meant for other services are good here"
        found.append(warning(_CHECK, message, "set CLAIMD_JWT_AUDIENCE"))
    return found
