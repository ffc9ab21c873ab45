"""What these settings say of what every gateway of one server must agree on."""

from pydantic import SecretStr

from claimd.identity.keys import Keys
from claimd.settings import Settings
from claimd.store.installation import Installation


def installation_of(settings: Settings) -> Installation:
    """What these settings have of what every gateway must agree on. Raises SettingsError without a secret."""
    return Installation(Keys.derive(settings.require_secret()).fingerprint, settings.jwt_identity)


def known_installation(settings: Settings, kept: str | None) -> Installation | None:
    """The same with the secret that is set, else with the one that a data directory keeps; None without either."""
    known = with_secret(settings, kept)
    return installation_of(known) if known.secret else None


def with_secret(settings: Settings, kept: str | None) -> Settings:
    """The settings, with `kept` as their secret where they name none."""
    return settings if settings.secret or not kept else settings.model_copy(update={"secret": SecretStr(kept)})
