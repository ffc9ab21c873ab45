"""The tree in docs/architecture.md is the tree that there is."""

import re

from tests.tidy.words import CHECKOUT, files

_PAGE = CHECKOUT / "docs" / "architecture.md"


def _drawn() -> set[str]:
    """The folders that the page draws, as paths: indented by two spaces below the folder that holds them."""
    tree = _PAGE.read_text().partition("## Where everything is")[2].partition("```\n")[2].partition("```")[0]
    above: list[str] = []
    found = set()
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.findall(
            r"([a-z_]+)/(?= |$)", line.partition("   ")[0] if depth == 0 else line.strip().partition("   ")[0]
        )
        if not names:
            continue
        del above[depth:]
        found |= {"/".join([*above, name]) for name in names}
        above.append(names[-1])
    return {folder for folder in found if not folder.startswith("tests")}


def test_every_folder_is_drawn_and_no_other() -> None:
    """A new folder needs its line in the tree; one that is gone loses it."""
    there = {
        str(file.parent.relative_to(CHECKOUT))
        for file in files("claimd", "loadtest", "lua")
        if file.suffix in (".py", ".lua")
    }
    assert _drawn() == there
