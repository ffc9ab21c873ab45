"""Every setting there is, read in one place: a flag over the environment (`CLAIMD_…`) over the default."""

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from claimd.http.timeouts import IDLE_SECONDS
from claimd.identity.jwks_location import check_location
from claimd.identity.keys import MIN_SECRET_BYTES
from claimd.store.redis.acknowledgement import Durability
from claimd.store.redis.client import check_url
from claimd.variables import PREFIX, is_injected, unknown_variables

_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
_MAKES_ONE = "`openssl rand -hex 32` makes one"
# Each of them may be in a file instead, which `CLAIMD_…_FILE` names.
_IN_FILES = ("secret", "admin_token")
_MAX_FILE_BYTES = 64 * 1024
_MAX_CLAIM_NAME = 256


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what to do."""


class Settings(BaseSettings):
    """Frozen after it was read. Field names are the flags (`--data-dir`) and the variables (`CLAIMD_DATA_DIR`)."""

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
    # Always None once they were read: what the file holds is then `secret` or `admin_token`.
    secret_file: Path | None = None
    admin_token_file: Path | None = None
    jwks: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_identity: str = Field(default="sub", min_length=1, max_length=_MAX_CLAIM_NAME)
    jwt_leeway: float = Field(default=5.0, ge=0, le=3600)
    idle_seconds: float = Field(default=IDLE_SECONDS, ge=1, le=86_400)

    @classmethod
    def read(cls, **flags: Any) -> Self:
        """Settings from flags (None: not given) and environment. Raises SettingsError."""
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as error:
            raise SettingsError("; ".join(_sentence(dict(problem)) for problem in error.errors())) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over the environment, without what an orchestrator has injected into it."""
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
            values[name] = _content(f"{variable}_FILE", Path(path))
        return values

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
            raise ValueError(f"must not be empty; {_MAKES_ONE}")
        return SecretStr(stripped)

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None:
            return None
        # A file or a shell easily adds a line's end: with it every person would be another one.
        stripped = secret.get_secret_value().strip()
        if len(stripped.encode()) < MIN_SECRET_BYTES:
            raise ValueError(
                f"must have at least {MIN_SECRET_BYTES} bytes without the white space at its ends; {_MAKES_ONE}"
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
    def _names_one(cls, listed: str | None) -> str | None:
        if listed is not None and not _parts(listed):
            raise ValueError("must name at least one; leave it out to check none")
        return listed

    @field_validator("jwt_identity")
    @classmethod
    def _trimmed(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("must name a claim of the token")
        return name.strip()

    @property
    def jwt_issuers(self) -> tuple[str, ...]:
        """The issuers of which a token must have one; empty: not checked."""
        return _parts(self.jwt_issuer)

    @property
    def jwt_audiences(self) -> tuple[str, ...]:
        """The audiences of which a token must have one; empty: not checked."""
        return _parts(self.jwt_audience)

    @classmethod
    def unknown_variables(cls) -> list[tuple[str, str]]:
        """Each variable of the environment that looks like a setting and is none, and the one that may be meant."""
        return list(unknown_variables(os.environ, cls.model_fields))

    def require_redis_url(self) -> str:
        """The server's address, or SettingsError."""
        if self.redis_url is None:
            raise SettingsError("CLAIMD_REDIS_URL is not set; only `claimd up` brings a server of its own")
        return self.redis_url

    def require_secret(self) -> bytes:
        """The secret's bytes, or SettingsError."""
        if self.secret is None:
            raise SettingsError(
                "CLAIMD_SECRET is not set, nor CLAIMD_SECRET_FILE; only `claimd up` makes one by itself"
            )
        return self.secret.get_secret_value().encode()

    def require_admin_token(self) -> str:
        """The console's bearer token, or SettingsError."""
        if self.admin_token is None:
            raise SettingsError(
                "CLAIMD_ADMIN_TOKEN is not set, nor CLAIMD_ADMIN_TOKEN_FILE; only `claimd up` makes one by itself"
            )
        return self.admin_token.get_secret_value()


class _Variables(EnvSettingsSource):
    """The environment without what an orchestrator has injected: that describes a Service and sets nothing."""

    def __init__(self, settings_class: type[BaseSettings]) -> None:
        super().__init__(settings_class)
        self.env_vars = {name: value for name, value in self.env_vars.items() if not is_injected(name, value or "")}


def _content(variable: str, path: Path) -> str:
    """The text in a file, without white space at its ends. Raises ValueError that names the variable and the file."""
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
        raise ValueError(f"{variable}: {path} is not text; {_MAKES_ONE}") from None
    if not text:
        raise ValueError(f"{variable}: {path} is empty; {_MAKES_ONE}")
    return text


def _parts(listed: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (listed or "").split(",") if part.strip())


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _sentence(problem: dict[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    # What is wrong with several of them together has no place, and names them itself.
    return f"{_variable(str(problem['loc'][0]))}: {message}" if problem["loc"] else message
