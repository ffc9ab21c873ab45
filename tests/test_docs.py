"""Files, tests, links and headings that the pages name exist, also after a rename."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")])
# A path with a folder in it, or a link.
NAMED = re.compile(r"(?<![\w/.{<-])((?:[\w-]+/)+[\w.-]*[\w-]\.(?:py|lua|md|svg|toml|txt|j2|json|html|yml))\b")
FOLDERS = re.compile(r"`((?:tests|claimd|loadtest|docs|lua)/(?:[\w-]+/)*)`")
LINKED = re.compile(r"\]\(([^)#\s]+)?(?:#([\w-]+))?\)")
TESTS = re.compile(r"(tests/[\w/]+\.py)::(\w+)")


def _found(name: str) -> bool:
    # Pages may leave out the name of the package: `lua/claim.lua`, `identity/passes.py`.
    return any((CHECKOUT / start / name).exists() for start in ("", "claimd"))


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """Files, folders, and tests by name; except what a drop leaves in loadtest/out/."""
    text = page.read_text()
    names = set(NAMED.findall(text)) | set(FOLDERS.findall(text))
    assert sorted(name for name in names if not name.startswith("loadtest/out/") and not _found(name)) == []
    for file, test in TESTS.findall(text):
        assert f"def {test}(" in (CHECKOUT / file).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_checkout_leads_somewhere(page: Path) -> None:
    """A link leads to a file, and to a heading of that file where it names one."""
    for target, anchor in LINKED.findall(page.read_text()):
        if "://" in target:
            continue
        path = (page.parent / target) if target else page
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), f"{target}#{anchor}"


def test_names_are_found_at_all() -> None:
    """The pattern above finds names: without this test it could match nothing, unnoticed."""
    text = (CHECKOUT / "docs/threats.md").read_text()
    assert {"lua/claim.lua", "identity/passes.py", "tests/identity/test_bearer.py"} <= set(NAMED.findall(text))
    assert not _found("identity/tickets.py")
