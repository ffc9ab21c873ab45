"""Every setting there is, read in one place: a flag over the environment (`CLAIMD_…`) over the default."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from claimd.identity.secrets import MIN_SECRET_BYTES
from claimd.store.durability import Durability
from claimd.store.redis_store import check_url

_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what to do."""


class Settings(BaseSettings):
    """Frozen after it was read. Field names are the flags (`--data-dir`) and the variables (`CLAIMD_DATA_DIR`)."""

    model_config = SettingsConfigDict(env_prefix="CLAIMD_", frozen=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Path(".claimd")
    redis_url: str | None = None
    durability: Durability = Durability.LOCAL
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    console_host: str = "127.0.0.1"
    console_port: int = Field(default=8081, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    secret: SecretStr | None = None
    admin_token: SecretStr | None = None
    jwks: Path | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None

    @classmethod
    def read(cls, **flags: Any) -> Self:
        """Settings from flags (None: not given) and environment. Raises SettingsError."""
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as error:
            raise SettingsError("; ".join(_sentence(dict(problem)) for problem in error.errors())) from None

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(_REDIS_SCHEMES):
            raise ValueError(f"must start with one of {', '.join(_REDIS_SCHEMES)}")
        if url is not None:
            check_url(url)
        return url

    @field_validator("admin_token")
    @classmethod
    def _not_empty(cls, token: SecretStr | None) -> SecretStr | None:
        if token is None:
            return None
        stripped = token.get_secret_value().strip()
        if not stripped:
            raise ValueError("must not be empty; `openssl rand -hex 32` makes one")
        return SecretStr(stripped)

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"must have at least {MIN_SECRET_BYTES} bytes; `openssl rand -hex 32` makes one")
        return secret

    def require_redis_url(self) -> str:
        """The server's address, or SettingsError."""
        if self.redis_url is None:
            raise SettingsError("CLAIMD_REDIS_URL is not set; only `claimd up` brings a server of its own")
        return self.redis_url

    def require_secret(self) -> bytes:
        """The secret's bytes, or SettingsError."""
        if self.secret is None:
            raise SettingsError("CLAIMD_SECRET is not set; only `claimd up` makes one by itself")
        return self.secret.get_secret_value().encode()

    def require_admin_token(self) -> str:
        """The console's bearer token, or SettingsError."""
        if self.admin_token is None:
            raise SettingsError("CLAIMD_ADMIN_TOKEN is not set; only `claimd up` makes one by itself")
        return self.admin_token.get_secret_value()


def _sentence(problem: dict[str, Any]) -> str:
    return f"CLAIMD_{str(problem['loc'][0]).upper()}: {problem['msg'].removeprefix('Value error, ')}"
