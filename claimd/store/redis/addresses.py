"""The addresses of a server: a URL of the Redis library, or Sentinels that know which server is the primary.

`redis+sentinel://user:password@host:port,host:port/service/0`, with `rediss+sentinel` for TLS to all of them. User,
password and database are those of the server; `?sentinel_username=` and `?sentinel_password=` those of the Sentinels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import ConnectionPool

from claimd.store.redis.sentinels import Primary, PrimaryConnection, PrimarySSLConnection

SENTINEL_PORT: Final = 26379
_TLS_SCHEME: Final = "rediss+sentinel"
_SCHEMES: Final = ("redis+sentinel", _TLS_SCHEME)
_OPTIONS: Final = frozenset({"sentinel_username", "sentinel_password"})
_MAX_PORT: Final = 65535

_AnyPool = TypeVar("_AnyPool", bound=ConnectionPool)


@dataclass(frozen=True, slots=True, repr=False)
class SentinelAddress:
    """Which Sentinels to ask, for which service, and how to log in. `repr` is off, so that no password is logged."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    login: Mapping[str, str]
    sentinel_login: Mapping[str, str]
    db: int
    tls: bool

    @classmethod
    def parse(cls, url: str) -> "SentinelAddress":
        """Parse a URL. Raises ValueError, without the URL in its message."""
        # Not `urlsplit`, for which several hosts, one of them in brackets, are no address.
        scheme, _, rest = url.partition("://")
        place, _, query = rest.partition("?")
        netloc, _, path = place.partition("/")
        service, _, db = path.partition("/")
        userinfo, _, hosts = netloc.rpartition("@")
        username, _, password = userinfo.partition(":")
        options: dict[str, str] = {}
        try:
            options |= parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
            parsed = cls(
                sentinels=tuple(_host_and_port(each) for each in hosts.split(",")),
                service=unquote(service),
                login=_login(unquote(username), unquote(password)),
                sentinel_login=_login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
                db=int(db or 0),
                tls=scheme == _TLS_SCHEME,
            )
        except ValueError:
            parsed = None
        if parsed is None or not parsed.service or not options.keys() <= _OPTIONS or "#" in url:
            raise ValueError("is not an address such as redis+sentinel://:password@host:26379,host:26379/service/0")
        return parsed

    def primary(self) -> Primary:
        """The primary of the service, by these Sentinels."""
        return Primary(self.sentinels, self.service, self.sentinel_login, tls=self.tls)


def is_sentinel(url: str) -> bool:
    """Whether a URL names Sentinels."""
    return url.partition("://")[0] in _SCHEMES


def pool_at(url: str, pool_class: type[_AnyPool], **options: Any) -> _AnyPool:
    """A pool of connections to the server at `url`; with Sentinels, to the server that is the primary at each connect.

    Raises ValueError.
    """
    if not is_sentinel(url):
        return pool_class.from_url(url, **options)
    address = SentinelAddress.parse(url)
    found: dict[str, Any] = {
        "connection_class": PrimarySSLConnection if address.tls else PrimaryConnection,
        "primary": address.primary(),
        "db": address.db,
        **address.login,
    }
    return pool_class(**found, **options)


def check_url(url: str) -> None:
    """Raise ValueError, without the URL in its message, where no connection can be made of it."""
    if is_sentinel(url):
        SentinelAddress.parse(url)
        return
    try:
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):
        # The library's message may quote the password.
        raise ValueError(
            "is not an address the Redis library understands, such as redis://:password@host:6379/0"
        ) from None


def without_password(url: str) -> str:
    """The address of a server without its password, which redis-py accepts before the host and as a parameter."""
    if is_sentinel(url):
        scheme, _, rest = url.partition("?")[0].partition("://")
        userinfo, _, place = rest.rpartition("@")
        return f"{scheme}://{'***@' if userinfo else ''}{place}"
    parts = urlsplit(url)
    hidden = "***@" if "@" in parts.netloc else ""
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        # A password with a slash in it makes the library take its beginning for a port.
        return f"{parts.scheme}://…"
    return f"{parts.scheme}://{hidden}{parts.hostname or ''}{port}{parts.path}"


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path:
        raise ValueError
    port = SENTINEL_PORT if parts.port is None else parts.port
    if not 1 <= port <= _MAX_PORT:
        raise ValueError
    return parts.hostname, port


def _login(username: str, password: str) -> dict[str, str]:
    return {name: value for name, value in (("username", username), ("password", password)) if value}
