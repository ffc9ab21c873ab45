"""`docs/api.md` in the checkout is the page that is generated from the code, and the page is complete."""

from pathlib import Path

import pytest

from claimd.contract.problems import PROBLEM_TYPES, Code
from claimd.contract.reference import COMMAND, reference
from claimd.contract.route import Route
from claimd.contract.routes import ALL_ROUTES

PAGE = Path(__file__).parents[2] / "docs/api.md"


def test_the_page_is_up_to_date() -> None:
    """Byte for byte."""
    assert PAGE.read_text() == reference(), f"docs/api.md is out of date: run `.venv/bin/{COMMAND}`"


@pytest.mark.parametrize("route", ALL_ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_on_the_page(route: Route) -> None:
    """With a heading of its own, which the links at the top lead to."""
    page = reference()
    assert f"\n`{route.method} {route.path.replace('{round_id}', '{id}')}`\n" in page
    assert page.count(f"\n### {route.summary}\n") == 1


@pytest.mark.parametrize("code", Code)
def test_every_code_is_on_the_page(code: Code) -> None:
    """In the table of errors, and with what a client does about it."""
    page, kind = reference(), PROBLEM_TYPES[code]
    assert page.count(f"| `{code}` | {kind.title} |") == 1
    assert page.count(f"\n| `{code}` | {kind.when} | {kind.client} |\n") == 1


def test_no_mark_is_left_in_the_page() -> None:
    """The one comment is that the page is generated."""
    assert reference().count("<!--") == 1
