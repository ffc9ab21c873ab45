"""Whether this claimd has the secret, and the identity claim of tokens, with which the server's claims were made."""

from collections.abc import Iterator

from claimd.doctor.findings import Finding, blocker, ok, warning
from claimd.store.errors import StoreError
from claimd.store.installation import ADVICE, Installation, kept_fingerprint
from claimd.store.redis.store import RedisStore

CHECK = "secret"


async def check_secret(url: str, installation: Installation | None) -> list[Finding]:
    """Return one finding; writes nothing. Without an installation there is nothing to compare, which is a warning."""
    store = RedisStore.connect(url)
    try:
        kept = await store.installation.kept()
    except StoreError as error:
        return [warning(CHECK, f"it could not be compared: {error}", "permit +hgetall to claimd's user")]
    finally:
        await store.close()
    return list(_judge(kept, installation))


def _judge(kept: dict[str, str], installation: Installation | None) -> Iterator[Finding]:
    fingerprint = kept_fingerprint(kept)
    if fingerprint is None:
        yield ok(CHECK, "no claims were made with any yet: the first gateway to start leaves its fingerprint")
    elif installation is None:
        yield warning(CHECK, f"it could not be compared (fingerprint on the server {fingerprint})", ADVICE)
    elif difference := installation.difference(kept):
        message, _, advice = difference.partition(". ")
        yield blocker(CHECK, message, advice)
    else:
        yield ok(CHECK, f"it is the one that the server's claims were made with (fingerprint {fingerprint})")
