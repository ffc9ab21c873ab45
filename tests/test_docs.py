"""What the pages name is there: pages rot unseen where files and tests are renamed."""

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
    # Of the package, pages name the part without the package's own name.
    return any((CHECKOUT / start / name).exists() for start in ("", "claimd"))


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """Also folders, and tests by name. What a drop leaves behind is not in the checkout."""
    text = page.read_text()
    names = set(NAMED.findall(text)) | set(FOLDERS.findall(text))
    assert sorted(name for name in names if not name.startswith("loadtest/out/") and not _found(name)) == []
    for file, test in TESTS.findall(text):
        assert f"def {test}(" in (CHECKOUT / file).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_checkout_leads_somewhere(page: Path) -> None:
    """To a file, and to a heading in it where it names one."""
    for target, anchor in LINKED.findall(page.read_text()):
        if "://" in target:
            continue
        path = (page.parent / target) if target else page
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), f"{target}#{anchor}"


def test_names_are_found_at_all() -> None:
    """A pattern that finds nothing would prove nothing."""
    text = (CHECKOUT / "docs/threats.md").read_text()
    assert {"lua/claim.lua", "identity/passes.py", "tests/identity/test_bearer.py"} <= set(NAMED.findall(text))
    assert not _found("identity/tickets.py")
