"""Docstrings state something: one of fewer than five words ("It is gone.") helps only the reader who knows already."""

import ast
import re

from tests.tidy.words import CHECKOUT, files

_LEAST_WORDS = 5
# What implements a port says where its words are; a handler names the request that it answers.
_REFERENCE = re.compile(r"(?:See|Implements) `\w+(?:\.\w+)?`\.|`(?:GET|POST|PATCH|DELETE) /\S*`\.")
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def short_docstrings(source: str) -> list[tuple[int, str]]:
    """Line and text of each docstring of the source that has fewer than five words."""
    found = []
    for node in ast.walk(ast.parse(source)):
        text = ast.get_docstring(node) if isinstance(node, _Documented) else None
        if text is not None and not _REFERENCE.fullmatch(text) and len(re.findall(r"[\w`']+", text)) < _LEAST_WORDS:
            found.append((getattr(node, "lineno", 1), text))
    return found


def test_no_docstring_of_the_product_is_a_riddle() -> None:
    """Each has five words or more: what the thing does or returns, with units, shapes and errors."""
    short = [
        f"{file.relative_to(CHECKOUT)}:{line}: {text}"
        for file in files("claimd", "loadtest")
        if file.suffix == ".py"
        for line, text in short_docstrings(file.read_text())
    ]
    assert short == []


def test_a_short_docstring_is_found() -> None:
    """Of a module, a class, a function; what has enough words or no docstring is fine."""
    source = (
        '"""All of them."""\nclass A:\n    """Gone."""\n    def f(self):\n        """The number of waiting claims."""\n'
    )
    assert short_docstrings(source) == [(1, "All of them."), (2, "Gone.")]
    assert short_docstrings("def f(): ...\n") == []
    assert short_docstrings('def f():\n    """See `LogReader.log`."""\n') == []
