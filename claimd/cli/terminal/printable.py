"""Text from elsewhere, made fit for a terminal and for a log: what would begin a line, move the cursor, colour what
follows or turn it round is spelled out instead. Paths, titles and error sentences are written by strangers.
"""

import json
import re

# C0, DEL and C1; marks and overrides of direction (Unicode's UAX 9), which show a line as it is not; what some programs
# take for the end of a line; halves of characters, which not every stream can write.
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""One line that shows itself: `\n` and `\x1b` as here, with a backslash."""
    return _NOT_TEXT.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def printable_json(text: str) -> str:
    """The same for JSON, whose lines and meaning stay what they are."""
    return _NOT_TEXT.sub(lambda found: found[0] if found[0] == "\n" else json.dumps(found[0])[1:-1], text)
