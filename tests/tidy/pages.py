"""Parts of the project's pages, for tests that compare them with the code: sections, tables, commands."""

import re
from pathlib import Path

from tests.tidy.words import CHECKOUT

PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md"), *(CHECKOUT / "examples").glob("*.md")])
_FENCED = re.compile(r"^ *```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"\s+# .*$")


def page(name: str) -> str:
    """The text of a page, by its path from the root of the checkout."""
    return (CHECKOUT / name).read_text()


def section(name: str, title: str) -> str:
    """The text below a heading of a page, up to the next heading of any level."""
    _, found, rest = page(name).partition(f" {title}\n")
    assert found, f"{name} has no heading '{title}'"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables in a text, without the rows of headings and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rules = {number for number, line in enumerate(lines) if re.fullmatch(r"[|: -]+", line)}
    heads = {number - 1 for number in rules}
    found = [line for number, line in enumerate(lines) if number not in rules | heads]
    # A bar within a cell is written as \|.
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]


def names(text: str) -> list[str]:
    """What stands between single backticks, in order."""
    return re.findall(r"`([^`\n]+)`", text)


def commands(path: Path) -> list[str]:
    """The commands of a page's console blocks (lines that begin with `$ `), without the comments behind them."""
    blocks = _FENCED.findall(path.read_text())
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [_COMMENT.sub("", line[2:]) for line in lines if line.startswith("$ ")]
