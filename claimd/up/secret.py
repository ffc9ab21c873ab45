"""The secret that `claimd up` starts with: given, kept in the data directory, or made for a server that has no claims.

Under another secret every person is a new one to the rounds there are, and could claim a second time. So a secret is
made only where nothing was ever claimed, and every one is held against the fingerprint that the server keeps.
"""

from claimd.embedded.data_dir import DataDir
from claimd.errors import StartError
from claimd.installation import installation_of, with_secret
from claimd.settings import Settings
from claimd.store.errors import StoreError
from claimd.store.installation import ADVICE, InstallationDiffers, kept_fingerprint
from claimd.store.redis.store import RedisStore


def prepare_secret(settings: Settings, data_dir: DataDir, *, has_data: bool) -> None:
    """Before the embedded server starts for the first time, make its secret; after that it must be there, or given.

    Raises StartError where it is not, or is another. The fingerprint cannot tell that of data of the first version.
    """
    kept, given = data_dir.kept_secret(), settings.secret
    place = data_dir.path / "secret"
    if kept is None and given is None:
        if has_data:
            raise StartError(
                f"{data_dir.path} has claims, but not the secret that they were made with: under a new one, people "
                f"who hold a claim could claim again. Put {place} back from a backup, or set CLAIMD_SECRET to it"
            )
        data_dir.secret()
    if has_data and kept is not None and given is not None and kept != given.get_secret_value().strip():
        raise StartError(
            f"CLAIMD_SECRET is not the secret in {place}, under which its claims were made: people who hold a claim "
            "could claim again. Leave CLAIMD_SECRET out, or choose another directory with --data-dir"
        )


async def with_agreed_secret(settings: Settings, data_dir: DataDir) -> Settings:
    """The settings with a secret that the server agrees to. Raises StartError where it does not, or is away."""
    url = settings.require_redis_url()
    try:
        settings = with_secret(settings, data_dir.kept_secret())
        if settings.secret is None:
            settings = with_secret(settings, await _made(url, data_dir))
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


async def _made(url: str, data_dir: DataDir) -> str:
    """A new secret, kept in the data directory, for a server that has no claims yet."""
    store = RedisStore.connect(url)
    try:
        fingerprint = kept_fingerprint(await store.installation.kept())
        in_use = fingerprint is not None or await store.installation.has_rounds()
    finally:
        await store.close()
    if in_use:
        raise StartError(
            f"the server has claims that were made with a secret (fingerprint {fingerprint or 'unknown'}) which is "
            f"not in {data_dir.path}: under a new one, people who hold a claim could claim again. {ADVICE}"
        )
    return data_dir.secret()
