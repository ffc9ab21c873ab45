"""The project's prose stays plain: words of the old dialect have a ceiling in each part of it."""

from pathlib import Path

import pytest

from tests.tidy.words import CHECKOUT, count, files, is_own, prose_of

_CEILING = 0.5
_PARTS = ("claimd", "loadtest", "lua", "tests", "docs", "examples", "*.md")


@pytest.mark.parametrize("part", _PARTS)
def test_the_dialect_stays_below_its_ceiling(part: str) -> None:
    """Fewer than 0.5 in a thousand words; `python -m tests.tidy.words` shows where they are."""
    listed = [file for file in files(part) if not is_own(file)]
    if part == "*.md":
        listed = [file for file in listed if file.parent == CHECKOUT]
    words, groups, found = count([place for file in listed for place in prose_of(file)])
    shown = [f"{place.file.relative_to(CHECKOUT)}:{place.line}: {place.text.strip()}" for place, _ in found]
    assert words
    assert 1000 * len(found) / words < _CEILING, (groups, shown[:50])


def test_words_of_the_dialect_are_found(tmp_path: Path) -> None:
    """In comments, docstrings, messages, test names and pages; not in identifiers, nor in the code of a page."""
    python = tmp_path / "a.py"
    python.write_text('"""Whoever asks."""\n# nobody\ntold = "they said no"\ndef test_somebody_asks() -> None: ...\n')
    _, groups, found = count(list(prose_of(python)))
    assert dict(groups) == {"whoever, those who": 1, "nobody, somebody": 2, "tell, say": 1}
    assert sorted(place.line for place, _ in found) == [1, 2, 3, 4]
    markdown = tmp_path / "a.md"
    markdown.write_text("It is told.\n```\nsay nothing\n```\nIt waits in `say`.\n")
    assert [place.line for place, _ in count(list(prose_of(markdown)))[2]] == [1]
