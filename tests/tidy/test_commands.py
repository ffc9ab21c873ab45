"""The commands that the pages show exist: make's targets and variables, claimd's commands and flags, modules."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from claimd.cli.app import app
from tests.tidy.pages import PAGES, commands, page
from tests.tidy.words import CHECKOUT

_TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
_VARIABLE = re.compile(r"^ *([A-Z_]+) \?=", re.MULTILINE)


def words(command: str) -> list[str]:
    """The words of a command of a page, up to a pipe or another command; without settings of the environment."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if re.fullmatch(r"[|&;<>]+", word):
            break
        if found or not re.fullmatch(r"[A-Z_]+=.*", word):
            found.append(word)
    return found


def problem(command: str) -> str | None:
    """What a command names that is not there; None where all of it is."""
    program, *rest = words(command) or [""]
    name = Path(program).name
    if name == "make":
        return _make_problem(rest)
    if name == "claimd":
        return _claimd_problem(rest)
    if name.startswith("python") and rest[:1] == ["-m"]:
        return None if importlib.util.find_spec(rest[1]) else f"no module {rest[1]}"
    return None


def _make_problem(rest: list[str]) -> str | None:
    makefile = page("Makefile")
    targets, variables = set(_TARGET.findall(makefile)), set(_VARIABLE.findall(makefile))
    for word in rest:
        name, is_variable, _ = word.partition("=")
        if name not in (variables if is_variable else targets):
            return f"make has no {name}"
    return None


def _claimd_problem(rest: list[str]) -> str | None:
    command = typer.main.get_command(app)
    for word in rest:
        if word.startswith("--"):
            flag = word.partition("=")[0]
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            if flag not in known | {"--help"}:
                return f"{command.name} has no {flag}"
        elif isinstance(command, TyperGroup):
            if word not in command.commands:
                return f"no command {word}"
            command = command.commands[word]
    return None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_of_a_page_exists(path: Path) -> None:
    """A command that was renamed or lost a flag must not stay in a page."""
    assert [(command, found) for command in commands(path) if (found := problem(command))] == []


@pytest.mark.parametrize(
    "command",
    [
        "make tests",
        "make drop SPEED=1",
        "FUZZ=2 make tset",
        "claimd rounds list",
        ".venv/bin/claimd round edit x --totel 3",
        "claimd audit x && true --not-looked-at --jsn",
        "python -m loadtest.nothing",
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    """Each kind of mistake is noticed; what follows `&&` is not looked at."""
    assert (problem(command) is None) == ("&&" in command)


def test_the_pages_have_commands() -> None:
    """Without this a change of the pages' form would empty the test above."""
    assert sum(len(commands(path)) for path in PAGES) > 30


def test_the_targets_of_make_are_declared_and_explained() -> None:
    """Each target is phony, so that no file of its name stops it, and `make help` prints a line for it."""
    makefile = page("Makefile")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert sorted(phony.split()) == sorted(_TARGET.findall(makefile))
    assert sorted(re.findall(r"^([a-z]+):.* ## ", makefile, re.MULTILINE)) == sorted(phony.split())
    assert not any((CHECKOUT / target).is_file() for target in phony.split())
