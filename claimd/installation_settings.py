"""The installation that settings describe: the secret's fingerprint and the identity claim, alike for all gateways."""

from pydantic import SecretStr

from claimd.identity.keys import Keys
from claimd.settings import Settings
from claimd.store.installation import Installation


def installation_of(settings: Settings) -> Installation:
    """The installation of these settings. Raises SettingsError without a secret."""
    return Installation(Keys.derive(settings.require_secret()).fingerprint, settings.jwt_identity)


def known_installation(settings: Settings, kept: str | None) -> Installation | None:
    """The installation with the secret that is set, else with `kept` from a data directory; None without either."""
    known = with_secret(settings, kept)
    return installation_of(known) if known.secret else None


def with_secret(settings: Settings, kept: str | None) -> Settings:
    """The settings with `kept` as their secret if they have none."""
    return settings if settings.secret or not kept else settings.model_copy(update={"secret": SecretStr(kept)})
