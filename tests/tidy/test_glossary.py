"""The glossary: each of its words is used in the project, and what it quotes from the code is there."""

import re

import pytest

from tests.tidy.pages import names, page, rows, section
from tests.tidy.words import CHECKOUT, DIALECT, files

_PAGE = "docs/glossary.md"
_TERMS = re.findall(r"^\| \*\*(.+?)\*\* \|", page(_PAGE), re.MULTILINE)
_EVERYTHING = "\n".join(
    file.read_text()
    for file in files()
    if file != CHECKOUT / _PAGE and file.suffix in (".py", ".lua", ".md", ".toml", "") and file.name != "LICENSE"
)
_WORDS = " ".join(re.sub(r"[_\s#-]+", " ", _EVERYTHING).lower().split())


@pytest.mark.parametrize("term", _TERMS)
def test_a_word_of_the_glossary_is_used(term: str) -> None:
    """A word that stands in the glossary alone explains nothing."""
    assert re.search(rf"\b{term.lower().replace('-', ' ')}", _WORDS)


def test_no_word_has_two_meanings() -> None:
    """Each word has one row."""
    assert len(_TERMS) == len(set(_TERMS)) > 40


def test_what_the_glossary_quotes_is_there() -> None:
    """The last column names files, folders, settings, fields and commands that exist."""
    quoted = [name for row in rows(page(_PAGE)) if row[0].startswith("**") for name in names(row[-1])]
    missing = [name for name in quoted if not _exists(name)]
    assert missing == []


def _exists(name: str) -> bool:
    if "/" in name and not name.startswith("/") and "…" not in name:
        return any((CHECKOUT / start / name).exists() for start in ("", "claimd", "loadtest", "tests"))
    # The code has neither the label of a metric nor the placeholder of a path in this form.
    return name.split("{")[0] in _EVERYTHING


def test_the_replaced_words_are_explained() -> None:
    """Each group of words that tests/tidy/words.py counts has a row with what to write instead."""
    explained = {row[0] for row in rows(section(_PAGE, "What to write instead"))}
    assert set(DIALECT) - explained == set()
