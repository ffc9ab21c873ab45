"""What a wheel of claimd has in it: the package, its scripts and its types; neither the tests nor the harness."""

import email
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from claimd import __version__

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """A wheel that was built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_a_wheel_declares_its_types(wheel: zipfile.ZipFile) -> None:
    """`py.typed` is in it, so type checkers read claimd's annotations where it is installed."""
    assert "claimd/py.typed" in wheel.namelist()


def test_a_wheel_has_the_scripts_and_no_tests(wheel: zipfile.ZipFile) -> None:
    """Every Lua file of the checkout; of Python nothing but the package."""
    names = wheel.namelist()
    lua = CHECKOUT / "lua"
    assert {name for name in names if name.endswith(".lua")} == {
        f"claimd/lua/{path.relative_to(lua)}" for path in lua.rglob("*.lua")
    }
    assert {name.split("/")[0] for name in names} == {"claimd", f"claimd-{__version__}.dist-info"}


def test_a_wheel_names_the_pythons_it_runs_on(wheel: zipfile.ZipFile) -> None:
    """The lower bound that the Makefile checks, and each version on which the tests were run."""
    metadata = email.message_from_bytes(wheel.read(f"claimd-{__version__}.dist-info/METADATA"))
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    named = {line for line in metadata.get_all("Classifier", []) if line.startswith("Programming Language")}
    versions = {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)}
    assert named == {"Programming Language :: Python :: 3 :: Only", *versions}
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert project["tool"]["ruff"]["target-version"] == "py311"
    assert project["tool"]["mypy"]["python_version"] == "3.11"
    assert "sys.version_info < (3, 11)" in (CHECKOUT / "Makefile").read_text()


def test_the_changelog_ends_with_the_version() -> None:
    """The newest version with a date is the one of the package; lines since then are under *Unreleased*."""
    headings = re.findall(r"^## (.+)$", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])
