"""Request heads: what differs from person to person, and from request to request, behind a load balancer.

A gateway's cost depends on it: heads that are equal can be recognised, heads of real clients have to be read. A head is
a function of seed and person, so a person's requests have equal heads but for the request's id, and a run can be
repeated. It takes 2 µs to make, as pieces that were prepared are put together; a load of 30,000 requests a second does
not keep millions of heads in memory.
"""

import random
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from loadtest.client.front_ends import FRONT_ENDS, Device, device

# Devices, networks and so on, from which heads are put together: more than the shapes that a gateway may remember.
_PIECES: Final = 1024
# Behind the gateway of a mobile carrier many people have one address. More would only be further away in memory.
_ADDRESSES: Final = 1 << 14
_TEXT: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_CHARACTERS: Final = 1 << 16
# Of what belongs to one person, in characters.
_LONGEST: Final = 256
_WORD: Final = (1 << 64) - 1
# Odd, without a pattern: its products with 0, 1, 2 … are all different, and look random.
_SPREAD: Final = 0x9E3779B97F4A7C15
_SHARE_IPV6: Final = 0.4
_SHARE_PROXIED: Final = 0.2
_NETWORKS: Final = (36, 39, 58, 60, 101, 111, 112, 115, 117, 120, 122, 124, 125, 171, 180, 183, 218, 220, 223)

_Pieces = tuple[bytes, bytes, int, bytes, bytes, bytes, bytes, int, bytes]


class Head(NamedTuple):
    """The header lines of one person behind Host and the request's id. Each line begins with CRLF.

    `credentials` is the name of the Authorization field, up to its value; a request without credentials omits it.
    `after` includes the end of the head.
    """

    before: bytes
    credentials: bytes
    after: bytes


class Heads(Protocol):
    """The heads of all people of a load."""

    def of(self, person: int) -> Head:
        """The head of a person, by number from 0; always the same."""

    def request_id(self, number: int) -> bytes:
        """The line with the id of request `number`, from 0, or nothing where the heads have none."""


class Variety(StrEnum):
    """Which heads a load has: `varied` as on the night, `equal` to compare with."""

    VARIED = "varied"
    EQUAL = "equal"


class EqualHeads:
    """One head for all requests, as short as a client may send it."""

    def of(self, person: int) -> Head:  # noqa: ARG002 - equal for each person
        """See `Heads.of`."""
        return Head(b"\r\nAccept: application/json", b"\r\nAuthorization: ", b"\r\n\r\n")

    def request_id(self, number: int) -> bytes:  # noqa: ARG002 - there is none
        """See `Heads.request_id`."""
        return b""


class VariedHeads:
    """Heads of people with phones: address, agent, language, cookies or a device's id, and an id for each request."""

    def __init__(self, seed: int) -> None:
        """Equal seeds give equal heads. Takes half a second."""
        seeded = random.Random(seed)
        kinds = seeded.choices(FRONT_ENDS, [front_end.share for front_end in FRONT_ENDS], k=_PIECES)
        text = bytes(seeded.choices(_TEXT, k=_CHARACTERS + _LONGEST))
        digits = seeded.randbytes((_CHARACTERS + _LONGEST) // 2).hex().encode()
        self._devices = [_unfold(device(kind, seeded), text, digits) for kind in kinds]
        networks = [_network(seeded) for _ in range(_PIECES)]
        self._addresses = [_forwarded(networks[seeded.randrange(_PIECES)], seeded) for _ in range(_ADDRESSES)]
        self._id_starts = [_id_start(seeded.randbytes(8).hex()) for _ in range(_PIECES)]
        self._start = seeded.getrandbits(64)

    def of(self, person: int) -> Head:
        """See `Heads.of`."""
        bits = ((person + 1) * _SPREAD ^ self._start) & _WORD
        bits ^= bits >> 31
        left, own, length, right, credentials, after, own_after, length_after, end = self._devices[bits % _PIECES]
        at = bits >> 48
        before = b"".join((self._addresses[(bits >> 12) % _ADDRESSES], left, own[at : at + length], right))
        if length_after:
            after = b"".join((after, own_after[at : at + length_after], end))
        # Without the constructor, which takes a third of the time.
        return tuple.__new__(Head, (before, credentials, after))

    def request_id(self, number: int) -> bytes:
        """See `Heads.request_id`."""
        bits = (number * _SPREAD ^ self._start) & _WORD
        return self._id_starts[(bits >> 52) % _PIECES] + b"%012x" % (bits & 0xFFFFFFFFFFFF)


def _unfold(device: Device, text: bytes, digits: bytes) -> _Pieces:
    """The pieces of a device in their order, each followed by where what belongs to a person is cut from.

    Where nothing behind the credentials belongs to a person, all of it is one piece.
    """
    before, after = device.before, device.after
    end = after.right + b"\r\n\r\n"
    rest = (
        (after.left, digits if after.hex else text, after.length, end)
        if after.length
        else (after.left + end, b"", 0, b"")
    )
    return (
        *(before.left, digits if before.hex else text, before.length, before.right),
        device.credentials,
        *rest,
    )


def _id_start(digits: str) -> bytes:
    """The line of a request's id up to its last part, as a UUID of version 4 with these 16 digits, but two."""
    return f"\r\nX-Request-Id: {digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[13:16]}-".encode()


def _network(seeded: random.Random) -> tuple[str, bool, str]:
    """The first part of an address, whether it is one of IPv6, and what stands behind the address.

    Some people come through another proxy, which has added its own address.
    """
    ipv6 = seeded.random() < _SHARE_IPV6
    if ipv6:
        network = f"2409:8{seeded.randrange(0x900, 0x9FF):x}:{seeded.getrandbits(16):x}:{seeded.getrandbits(16):x}:"
    else:
        network = f"{seeded.choice(_NETWORKS)}.{seeded.randrange(256)}."
    proxy = f", 10.{seeded.randrange(256)}.0.{seeded.randrange(1, 255)}" if seeded.random() < _SHARE_PROXIED else ""
    return network, ipv6, f"{proxy}\r\nX-Forwarded-Proto: https"


def _forwarded(network: tuple[str, bool, str], seeded: random.Random) -> bytes:
    """The forwarding lines of one address in a network."""
    begin, ipv6, end = network
    bits = seeded.getrandbits(64)
    host = f"{bits:016x}"
    inside = ":".join(host[at : at + 4] for at in range(0, 16, 4)) if ipv6 else f"{bits >> 56}.{bits % 254 + 1}"
    return f"\r\nX-Forwarded-For: {begin}{inside}{end}".encode()
