"""Sentences for people in each language that claimd speaks: English, and Chinese in simplified characters.

A `Template` has both languages side by side, so that neither can be missing; with values it is a `Sentence`, which is
put into words only where an answer is encoded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Language(StrEnum):
    """A language of answers; the value is its tag (RFC 5646)."""

    ENGLISH = "en"
    CHINESE = "zh-Hans"

    # An enumeration's own hash is Python code, and answers are cached by language.
    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence in both languages, with `{names}` of values as `str.format` has them.

    Both have the same names, except that the Chinese may leave out `{library}`: what a library or the operating system
    says, which is English only.
    """

    en: str
    zh: str

    def __call__(self, **values: Any) -> "Sentence":
        """The sentence with these values; a value may be a sentence itself."""
        return Sentence(self, values)

    def text(self, language: Language) -> str:
        """The template of that language."""
        return self.zh if language is Language.CHINESE else self.en


@dataclass(frozen=True, slots=True)
class Sentence:
    """A template with its values; `str()` of it is English."""

    template: Template
    values: Mapping[str, Any]

    def text(self, language: Language = Language.ENGLISH) -> str:
        """The sentence in that language."""
        values = {name: _in_language(value, language) for name, value in self.values.items()}
        return self.template.text(language).format_map(values)

    def __str__(self) -> str:
        return self.text()


class WrongValue(ValueError):
    """A value that cannot be used. `sentence` is for the author of the value; the message is its English text."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


def _in_language(value: Any, language: Language) -> Any:
    return value.text(language) if isinstance(value, Sentence) else value
