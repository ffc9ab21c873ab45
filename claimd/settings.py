"""All settings, read in one place. A flag takes precedence over a variable (`CLAIMD_…`), and that over the default."""

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from claimd.contract.limits import IDLE_SECONDS
from claimd.http.origins import parse_origins
from claimd.identity.jwks_location import check_location
from claimd.identity.keys import MIN_SECRET_BYTES
from claimd.store.durability import Durability
from claimd.variables import PREFIX, is_injected, unknown_variables

_REDIS_SCHEMES = ("redis://", "rediss://", "unix://", "redis+sentinel://", "rediss+sentinel://")
_HOW_TO_GENERATE = "`openssl rand -hex 32` makes one"
# Settings that may be in a file instead, which `CLAIMD_…_FILE` names.
_IN_FILES = ("secret", "admin_token")
_MAX_FILE_BYTES = 64 * 1024
_MAX_CLAIM_NAME_CHARACTERS = 256


class SettingsError(ValueError):
    """A setting that cannot be used. The message names the setting and, where known, what to do about it."""


class Settings(BaseSettings):
    """All settings, immutable. A field `data_dir` is the flag `--data-dir` and the variable `CLAIMD_DATA_DIR`.

    Each field is listed for the roles that use it, or for the supervisor alone: `supervisor/child_environment.py`.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

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
    # None in every instance: the content of the file becomes `secret` or `admin_token`.
    secret_file: Path | None = None
    admin_token_file: Path | None = None
    jwks: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_identity: str = Field(default="sub", min_length=1, max_length=_MAX_CLAIM_NAME_CHARACTERS)
    jwt_leeway: float = Field(default=5.0, ge=0, le=3600)
    idle_seconds: float = Field(default=IDLE_SECONDS, ge=1, le=86_400)
    cors_origins: str | None = None

    @classmethod
    def read(cls, **flags: Any) -> Self:
        """Settings from flags, where None means not given, and the environment. Raises SettingsError."""
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as error:
            raise SettingsError("; ".join(_describe(dict(problem)) for problem in error.errors())) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags take precedence over the environment, in which variables injected by an orchestrator do not count."""
        return init_settings, _Variables(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in _IN_FILES:
            path = values.pop(f"{name}_file", None)
            if path is None:
                continue
            variable = _variable(name)
            if values.get(name) is not None:
                raise ValueError(f"{variable} and {variable}_FILE are both given: keep one of them")
            values[name] = _read_text(f"{variable}_FILE", Path(path))
        return values

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(_REDIS_SCHEMES):
            raise ValueError(f"must start with one of {', '.join(_REDIS_SCHEMES)}")
        if url is not None:
            # Imported for an address alone: the library takes as long to import as all of the settings.
            from claimd.store.redis.addresses import check_url

            check_url(url)
        return url

    @field_validator("admin_token")
    @classmethod
    def _not_empty(cls, token: SecretStr | None) -> SecretStr | None:
        if token is None:
            return None
        stripped = token.get_secret_value().strip()
        if not stripped:
            raise ValueError(f"must not be empty; {_HOW_TO_GENERATE}")
        return SecretStr(stripped)

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None:
            return None
        # A file or a shell often adds a line end; as a part of the key it would change every identity digest.
        stripped = secret.get_secret_value().strip()
        if len(stripped.encode()) < MIN_SECRET_BYTES:
            raise ValueError(
                f"must have at least {MIN_SECRET_BYTES} bytes without the white space at its ends; {_HOW_TO_GENERATE}"
            )
        return SecretStr(stripped)

    @field_validator("jwks")
    @classmethod
    def _known_location(cls, location: str | None) -> str | None:
        if location is not None:
            check_location(location)
        return location

    @field_validator("jwt_issuer", "jwt_audience")
    @classmethod
    def _has_entries(cls, listed: str | None) -> str | None:
        if listed is not None and not _split(listed):
            raise ValueError("must name at least one; leave it out to check none")
        return listed

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, listed: str | None) -> str | None:
        if listed is not None:
            parse_origins(listed)
        return listed

    @field_validator("jwt_identity")
    @classmethod
    def _trimmed(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("must name a claim of the token")
        return name.strip()

    @property
    def jwt_issuers(self) -> tuple[str, ...]:
        """The issuers, one of which a token must have; empty: not checked."""
        return _split(self.jwt_issuer)

    @property
    def jwt_audiences(self) -> tuple[str, ...]:
        """The audiences, one of which a token must have; empty: not checked."""
        return _split(self.jwt_audience)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins that may call the public API from a browser; empty: none."""
        return parse_origins(self.cors_origins or "")

    @classmethod
    def unknown_variables(cls) -> list[tuple[str, str]]:
        """Variables of the environment that look like settings and are none, each with the one probably meant or ""."""
        return list(unknown_variables(os.environ, cls.model_fields))

    def require_redis_url(self) -> str:
        """The server's address. Raises SettingsError if it is not set."""
        if self.redis_url is None:
            raise SettingsError("CLAIMD_REDIS_URL is not set; only `claimd up` brings a server of its own")
        return self.redis_url

    def require_secret(self) -> bytes:
        """The secret's bytes. Raises SettingsError if it is not set."""
        if self.secret is None:
            raise SettingsError(
                "CLAIMD_SECRET is not set, nor CLAIMD_SECRET_FILE; only `claimd up` makes one by itself"
            )
        return self.secret.get_secret_value().encode()

    def require_admin_token(self) -> str:
        """The console's bearer token. Raises SettingsError if it is not set."""
        if self.admin_token is None:
            raise SettingsError(
                "CLAIMD_ADMIN_TOKEN is not set, nor CLAIMD_ADMIN_TOKEN_FILE; only `claimd up` makes one by itself"
            )
        return self.admin_token.get_secret_value()


class _Variables(EnvSettingsSource):
    """The environment without the variables that an orchestrator injects to describe a Service."""

    def __init__(self, settings_class: type[BaseSettings]) -> None:
        super().__init__(settings_class)
        self.env_vars = {name: value for name, value in self.env_vars.items() if not is_injected(name, value or "")}


def _read_text(variable: str, path: Path) -> str:
    """The text of a file without white space at its ends. Raises ValueError that names the variable and the file."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{variable}: {path} cannot be read: {error.strerror}") from None
    if len(content) > _MAX_FILE_BYTES:
        raise ValueError(f"{variable}: {path} has more than {_MAX_FILE_BYTES} bytes: it cannot be the right file")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError(f"{variable}: {path} is not text; {_HOW_TO_GENERATE}") from None
    if not text:
        raise ValueError(f"{variable}: {path} is empty; {_HOW_TO_GENERATE}")
    return text


def _split(listed: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (listed or "").split(",") if part.strip())


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _describe(problem: dict[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    # An error about several settings has no location; its message names them.
    return f"{_variable(str(problem['loc'][0]))}: {message}" if problem["loc"] else message
