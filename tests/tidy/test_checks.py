"""The checks run the same commands wherever they are run: by `make check`, by CI and by the hooks before a commit."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

from tests.tidy.words import CHECKOUT


def make_commands(target: str, folder: Path = CHECKOUT, **variables: str) -> list[str]:
    """The commands of a target of the Makefile, expanded by make itself; the environment counts as made."""
    words = ["make", "--dry-run", "--always-make", target, *(f"{name}={value}" for name, value in variables.items())]
    # The suite itself may run under make, which hands its variables down.
    own = {"PYTHON", "VENV", "TEST_ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    printed = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
    return printed.splitlines()


def hook_commands() -> list[str]:
    """The commands of the hooks, in their order."""
    return re.findall(r"^ +entry: (.+)$", (CHECKOUT / ".pre-commit-config.yaml").read_text(), re.MULTILINE)


def test_hooks_run_the_commands_of_make_check() -> None:
    """The same commands in the same order, so that a commit that passes its hooks passes CI's checks."""
    hooks = hook_commands()
    assert hooks
    assert make_commands("check")[-len(hooks) :] == hooks


def test_hooks_fetch_nothing() -> None:
    """Each runs a program of the environment or of the checkout, at the version that constraints.txt pins."""
    text = (CHECKOUT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (.+)", text) == ["local"]
    assert set(re.findall(r"language: (.+)", text)) == {"system"}
    assert "://" not in text


def test_ci_runs_the_checks_and_the_tests() -> None:
    """`.ci/run` ends with both, and stops at the first that fails."""
    script = (CHECKOUT / ".ci/run").read_text()
    assert "set -euo pipefail" in script
    assert script.splitlines()[-2:] == ["make check", "make test"]


def test_a_named_python_has_an_environment_of_its_own() -> None:
    """`make test PYTHON=python3.13` leaves the usual environment as it is."""
    assert make_commands("test")[-1] == ".venv/bin/python -m pytest "
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    named = subprocess.run(["python3", "-c", version], capture_output=True, text=True, check=True).stdout.strip()
    commands = make_commands("test", PYTHON="python3")
    assert commands[-1] == f".venv-{named}/bin/python -m pytest "
    assert f"python3 -m venv .venv-{named}" in commands
    assert make_commands("test", PYTHON="python3", VENV=".venv")[-1] == ".venv/bin/python -m pytest "


def test_every_tool_has_an_exact_version() -> None:
    """Each library that pyproject.toml names is pinned in constraints.txt."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"].values()
    required = [*project["dependencies"], *(line for lines in optional for line in lines)]
    pinned = {canonical(line.partition("==")[0]) for line in (CHECKOUT / "constraints.txt").read_text().split()}
    assert {canonical(re.split(r"[\[<>=]", line)[0]) for line in required} - pinned == set()


def canonical(name: str) -> str:
    """A library's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
