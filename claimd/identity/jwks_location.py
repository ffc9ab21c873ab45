"""The location of a JWKS: the path of a file, or the https URL of an identity provider."""

from ipaddress import ip_address
from urllib.parse import urlsplit

_HTTP_SCHEMES = ("http", "https")


def is_url(location: str) -> bool:
    """Whether the location is a URL; if not, it is a path."""
    return "://" in location


def check_location(location: str) -> None:
    """Raise ValueError, with a phrase for the operator, for a URL that is malformed or neither https nor loopback http.

    A path is always accepted; nothing is read or fetched. Plain http is accepted for this machine alone: otherwise
    anyone on the network path could insert a key.
    """
    if not is_url(location):
        return
    try:
        url = urlsplit(location)
        host, _port = url.hostname, url.port
    except ValueError:
        raise ValueError("is not a well-formed URL") from None
    if url.scheme not in _HTTP_SCHEMES or not host:
        raise ValueError("must be the path of a file or an https URL")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https: over plain http anyone on the way could put in a key of their own")


def is_loopback(host: str) -> bool:
    """Whether the host of a URL is localhost or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def without_credentials(location: str) -> str:
    """The location for messages: a URL loses user, password, query and fragment; a path is returned unchanged."""
    if not is_url(location):
        return location
    url = urlsplit(location)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
