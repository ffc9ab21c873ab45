"""Every folder of Python files is a package: each name is imported in one way, and files may have equal names."""

import tomllib

from tests.tidy.words import CHECKOUT, files


def test_every_folder_is_a_package() -> None:
    """A folder without `__init__.py` would be imported from two places, and mypy would not check it."""
    folders = {file.parent for file in files("claimd", "loadtest", "tests") if file.suffix == ".py"}
    assert sorted(str(folder) for folder in folders if not (folder / "__init__.py").exists()) == []


def test_types_are_checked_everywhere() -> None:
    """mypy reads the product, the harness and the tests, all of them strictly."""
    mypy = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert mypy["strict"] is True
    assert mypy["packages"] == ["claimd", "loadtest", "tests"]
    assert not any("ignore_errors" in override for override in mypy.get("overrides", []))
