"""Where a JWKS is: the path of a file, or the https URL of an identity provider."""

from ipaddress import ip_address
from urllib.parse import urlsplit

_HTTP_SCHEMES = ("http", "https")


def is_url(location: str) -> bool:
    """Whether it is a URL; else it is a path."""
    return "://" in location


def check_location(location: str) -> None:
    """Raise ValueError where no JWKS can be read from there. A path is not looked at; nothing is fetched.

    Plain http is accepted for this machine alone: everyone on the way could put in a key of their own.
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
    """Whether a URL's host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def without_credentials(location: str) -> str:
    """The location as it may be shown: a URL without user, password, query and fragment."""
    if not is_url(location):
        return location
    url = urlsplit(location)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
