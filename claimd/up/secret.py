"""The secret of a `claimd up`: set by the operator, kept in the data directory, or generated for an unused server.

Identity digests are keyed by it: under another secret everyone who holds a claim could claim a second time. So a secret
is generated only where nothing was ever claimed, and each one is compared with the fingerprint that the server keeps.
"""

from claimd.embedded.data_dir import DataDir
from claimd.errors import StartError
from claimd.installation_settings import installation_of, with_secret
from claimd.settings import Settings
from claimd.store.errors import StoreError
from claimd.store.installation import ADVICE, InstallationDiffers, kept_fingerprint
from claimd.store.redis.store import RedisStore


def prepare_secret(settings: Settings, data_dir: DataDir, *, has_data: bool) -> None:
    """Generate the secret before the embedded server's first start; at later starts it must be kept there, or set.

    Raises StartError where it is missing, or differs from the kept one. Data of the first version has no fingerprint:
    for that data this comparison is the only one.
    """
    kept, given = data_dir.kept_secret(), settings.secret
    place = data_dir.path / "secret"
    if kept is None and given is None:
        if has_data:
            raise StartError(
                f"{data_dir.path} has claims, but not the secret that they were made with: under a new one, everyone "
                f"who holds a claim could claim again. Put {place} back from a backup, or set CLAIMD_SECRET to it"
            )
        data_dir.secret()
    if has_data and kept is not None and given is not None and kept != given.get_secret_value().strip():
        raise StartError(
            f"CLAIMD_SECRET is not the secret in {place}, under which its claims were made: everyone who holds a "
            "claim could claim again. Leave CLAIMD_SECRET out, or choose another directory with --data-dir"
        )


async def with_agreed_secret(settings: Settings, data_dir: DataDir) -> Settings:
    """The settings with the secret under which the server's claims were made, or the first one of an unused server.

    Raises StartError where the secret is another one, or where the server does not answer.
    """
    url = settings.require_redis_url()
    try:
        settings = with_secret(settings, data_dir.kept_secret())
        if settings.secret is None:
            settings = with_secret(settings, await _generate(url, data_dir))
        store = RedisStore.connect(url, settings.durability, installation_of(settings))
        try:
            await store.installation.agree()
        finally:
            await store.close()
    except InstallationDiffers as error:
        raise StartError(str(error)) from None
    except StoreError as error:
        raise StartError(f"the server could not be asked which secret its claims were made with: {error}") from None
    return settings


async def _generate(url: str, data_dir: DataDir) -> str:
    """Generate a secret in the data directory for a server without claims. Raises StartError if the server has any."""
    store = RedisStore.connect(url)
    try:
        fingerprint = kept_fingerprint(await store.installation.kept())
        in_use = fingerprint is not None or await store.installation.has_rounds()
    finally:
        await store.close()
    if in_use:
        raise StartError(
            f"the server has claims that were made with a secret (fingerprint {fingerprint or 'unknown'}) which is "
            f"not in {data_dir.path}: under a new one, everyone with a claim could claim again. {ADVICE}"
        )
    return data_dir.secret()
