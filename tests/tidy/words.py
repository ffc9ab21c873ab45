"""`python -m tests.tidy.words [PATH …]`: the words that this project does without, where they stand, and how many.

The first versions were written in a dialect of their own, which a stranger has to decode. What is counted is prose:
comments, docstrings, messages and test names of the code, and the text of the pages.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[2]

# What each group is written as instead: docs/glossary.md.
DIALECT = {
    "tell, say": re.compile(r"\b(?:tell|tells|telling|told|untold|say|says|saying|said)\b", re.IGNORECASE),
    "whoever, those who": re.compile(
        r"\b(?:who(?:m)?ever|whosoever|(?:those|they|he|one|people|anyone) who)\b", re.IGNORECASE
    ),
    "nobody, somebody": re.compile(r"\b(?:nobody|somebody|everybody|anybody|no one)\b", re.IGNORECASE),
    "house words": re.compile(
        r"\b(?:turned away|let in|at the door|turns? of the loop|one's own|your own server|sayable|all the same|"
        r"by and by)\b",
        re.IGNORECASE,
    ),
}
# Since Python 3.12 the text of an f-string is a token of its own.
_STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_TEST_NAME = re.compile(r"\bdef (test_\w+)")
# Not prose: code in a page, and names that it quotes.
_FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"`[^`]*`")


class Place(NamedTuple):
    """A piece of prose: its file, the line that it begins in, and its text."""

    file: Path
    line: int
    text: str


def prose_of(file: Path) -> Iterator[Place]:
    """The prose of a file of the project; nothing for a kind of file that has none."""
    if file.suffix == ".py":
        yield from _python(file)
    elif file.suffix == ".lua":
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if "--" in line:
                yield Place(file, number, line.partition("--")[2])
    elif file.suffix == ".md":
        text = _FENCED.sub(lambda fenced: "\n" * fenced[0].count("\n"), file.read_text())
        for number, line in enumerate(text.splitlines(), 1):
            yield Place(file, number, _QUOTED.sub("", line))


def _python(file: Path) -> Iterator[Place]:
    text = file.read_text()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield Place(file, token.start[0], token.string)
        elif token.type in _STRINGS and " " in token.string:
            for number, line in enumerate(token.string.splitlines(), token.start[0]):
                yield Place(file, number, line)
    for number, line in enumerate(text.splitlines(), 1):
        for name in _TEST_NAME.findall(line):
            yield Place(file, number, name.replace("_", " "))


def files(*paths: str) -> list[Path]:
    """The project's files below these paths, all of them without any."""
    listed = subprocess.run(
        ["git", "ls-files", *paths], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    return [CHECKOUT / name for name in listed.split() if (CHECKOUT / name).is_file()]


def count(places: list[Place]) -> tuple[int, Counter[str], list[tuple[Place, str]]]:
    """How many words there are, how many of each group of the dialect, and where those stand."""
    found = [
        (place, group) for place in places for group, pattern in DIALECT.items() for _ in pattern.finditer(place.text)
    ]
    return sum(len(_WORD.findall(place.text)) for place in places), Counter(group for _, group in found), found


def main() -> None:
    """Print each place, and the sums, in words of the dialect a thousand."""
    places = [place for file in files(*sys.argv[1:]) if not is_own(file) for place in prose_of(file)]
    words, groups, found = count(places)
    for place, group in found:
        print(f"{place.file.relative_to(CHECKOUT)}:{place.line}: {group}: {place.text.strip()[:140]}")
    for group in DIALECT:
        print(f"{group:20} {groups[group]:5}  {1000 * groups[group] / max(1, words):.2f} a thousand")
    print(f"{'all':20} {len(found):5}  {1000 * len(found) / max(1, words):.2f} a thousand of {words:,} words")


def is_own(file: Path) -> bool:
    """Whether the file has to name the words: this folder and the glossary."""
    return file.parent == Path(__file__).parent or file.name == "glossary.md"


if __name__ == "__main__":
    main()
