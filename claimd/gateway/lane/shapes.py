"""Recognises heads of requests by their shape: the names of the headers in order, as one kind of client sends them.

Values differ from person to person and from request to request. So a shape is a regular expression with the names as
they were spelled, and any text as values; only what decides how a request is read (`Content-Length`, `Connection`) has
to be as it was. A shape is learned from heads that a parser found plain, so that matching it means the same.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

# Learning compiles an expression, which takes about a millisecond: a shape has to come several times, and a client that
# sends a new shape each time makes the process learn one in so many of its requests.
_TIMES_SEEN: Final = 3
_REQUESTS_PER_SHAPE: Final = 128
_MOST_AT_ONCE: Final = 48
MOST_SHAPES: Final = 128
_MOST_CANDIDATES: Final = 512

_VALUE: Final = rb"[\t -~\x80-\xff]*+"
_SPACE: Final = rb"[ \t]*+"
# A value that is read: without the white space around it. One that is empty is left to the parser.
_CAPTURED: Final = rb"((?>[\t -~\x80-\xff]*[!-~\x80-\xff]))"
_CREDENTIALS: Final = rb" ([!-~]++)"
# Its first group is empty: it stands for the headers that a shape does not have.
_BEGINNING: Final = rb"()\r\n"
_ABSENT: Final = 1
_END: Final = rb"\r\n\r\n"

AUTHORIZATION: Final = b"authorization"
_SCHEME: Final = b"scheme"
# What is captured besides the credentials, in the order of the fields of `Head`.
CAPTURED: Final = (b"origin", b"accept-language", b"if-none-match")
# What decides how a request is read.
_VERBATIM: Final = frozenset((b"content-length", b"connection"))

HeaderLines = Sequence[tuple[bytes, bytes]]


class Head(NamedTuple):
    """What the lane uses of a head, as it was spelled; each is empty where the header is absent."""

    scheme: bytes
    credentials: bytes
    origin: bytes
    accept_language: bytes
    if_none_match: bytes


# What matches a whole head from the end of its first line, and which groups of the match are the fields of `Head`.
_Shape = tuple[Callable[[bytes, int], re.Match[bytes] | None], tuple[int, ...]]


class Shapes:
    """The shapes of one kind of request that are known to a process."""

    def __init__(self, learning: "Learning") -> None:
        self._learning = learning
        # By the name of the last header, behind its CRLF; those that came last are first.
        self._known: dict[bytes, list[_Shape]] = {}
        learning.add(self)

    def recognise(self, data: bytes, at: int) -> Head | None:
        """The head of the request `data`, whose first line ends at `at`; None where its shape is not known."""
        last = data.rfind(b"\r\n", at, -4)
        shapes = self._known.get(data[last : data.find(b":", last)])
        if shapes is None:
            return None
        for place, (fullmatch, groups) in enumerate(shapes):
            match = fullmatch(data, at)
            if match is not None:
                if place:
                    shapes[place - 1], shapes[place] = shapes[place], shapes[place - 1]
                # Without the constructor, which takes as long as the lookup of the shape.
                return tuple.__new__(Head, match.group(*groups))
        return None

    def consider(self, headers: HeaderLines, scheme: bytes) -> None:
        """Learn the shape of a plain head that was not recognised, if it is time.

        `headers` are names as they were spelled and values without white space around them; no name comes twice.
        `scheme` is that of the credentials, as it was spelled; empty where they are not used.
        """
        if self._learning.may_learn(headers, scheme, self):
            self._known.setdefault(b"\r\n" + headers[-1][0], []).append(_compiled(headers, scheme))

    def forget(self) -> None:
        """Forget all shapes of this kind."""
        self._known.clear()


class Learning:
    """Bounds how much is learned by all `Shapes` of a process, in number and in time."""

    def __init__(self) -> None:
        self._all: list[Shapes] = []
        self._seen: Counter[int] = Counter()
        self._left = _MOST_AT_ONCE * _REQUESTS_PER_SHAPE
        self._learned = 0

    def add(self, shapes: Shapes) -> None:
        """Have these shapes forgotten with all others when there are too many."""
        self._all.append(shapes)

    def may_learn(self, headers: HeaderLines, scheme: bytes, shapes: Shapes) -> bool:
        """Whether the shape of this head is to be learned now; counts it."""
        self._left = min(self._left + 1, _MOST_AT_ONCE * _REQUESTS_PER_SHAPE)
        if len(self._seen) >= _MOST_CANDIDATES:
            self._seen.clear()
        candidate = hash((id(shapes), scheme, *(_what_counts(name, value) for name, value in headers)))
        self._seen[candidate] += 1
        if self._seen[candidate] < _TIMES_SEEN or self._left < _REQUESTS_PER_SHAPE:
            return False
        del self._seen[candidate]
        self._left -= _REQUESTS_PER_SHAPE
        if self._learned == MOST_SHAPES:
            for each in self._all:
                each.forget()
            self._learned = 0
        self._learned += 1
        return True


def _what_counts(name: bytes, value: bytes) -> bytes | tuple[bytes, bytes]:
    return (name, value) if name.lower() in _VERBATIM else name


def _compiled(headers: HeaderLines, scheme: bytes) -> _Shape:
    fields: list[bytes] = []
    lines = []
    for name, value in headers:
        lower, line = name.lower(), re.escape(name) + b":"
        if lower in _VERBATIM:
            line += _SPACE + re.escape(value)
        elif lower == AUTHORIZATION and scheme:
            line += _SPACE + b"(" + re.escape(scheme) + b")" + _CREDENTIALS
            fields += (_SCHEME, lower)
        elif lower in CAPTURED:
            line += _SPACE + _CAPTURED
            fields.append(lower)
        else:
            line += _VALUE
        lines.append(line)
    expression = re.compile(_BEGINNING + rb"\r\n".join(lines) + _END)
    number_of = {name: number for number, name in enumerate(fields, _ABSENT + 1)}
    return expression.fullmatch, tuple(number_of.get(name, _ABSENT) for name in (_SCHEME, AUTHORIZATION, *CAPTURED))
