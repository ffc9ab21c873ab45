"""JSON objects on the command line: as they stand there, or in a file that `@FILE` names."""

from pathlib import Path
from typing import Any

from claimd.cli.arguments.text import as_utf8
from claimd.domain.strict_json import parse_json
from claimd.errors import WrongUsage

# The console takes requests of 16 KiB; a file may have many blanks.
_MAX_FILE_BYTES = 64 * 1024


def read_document(flag: str, text: str) -> dict[str, Any]:
    """The object in `text`. Raises WrongUsage with the flag and the fault of the text or the file."""
    try:
        document = parse_json(_content(text[1:]) if text.startswith("@") else as_utf8(text))
    except OSError as error:
        raise WrongUsage(f"{flag}: {text[1:]} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise WrongUsage(f"{flag}: {error}") from None
    if not isinstance(document, dict):
        raise WrongUsage(f"{flag}: must be a JSON object")
    return document


def _content(name: str) -> str:
    with Path(name).open("rb") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise ValueError(f"{name} is too large: more than {_MAX_FILE_BYTES:,} bytes")
    try:
        # Some editors begin a file with a byte order mark.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8 text") from None
