"""Loads the Lua scripts and reads their heads: what a script says of its KEYS and ARGV is what callers are held to.

The scripts lie in `lua/` of a checkout and in `claimd/lua/` of an installed wheel.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from pathlib import Path

_HEAD_LINE = re.compile(r"--\s+(KEYS|ARGV)\s+(\w+)\s+(\w+)\s+(\S.*)")


class ScriptError(Exception):
    """A script is missing, or its head is not of the fixed form."""


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script. `keys` and `args` are the names its head declares, in order; `sha` is what EVALSHA wants.

    With `variadic` the last of `args` stands for any number of arguments, also none: the head calls it `strings`.
    """

    name: str
    source: str
    sha: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    variadic: bool = False

    def command(self, names: Sequence[str], args: Sequence[str | bytes]) -> tuple[str | bytes | int, ...]:
        """EVALSHA with these keys and arguments. Raises TypeError where the head declares others."""
        fits = len(args) >= len(self.args) - 1 if self.variadic else len(args) == len(self.args)
        if len(names) != len(self.keys) or not fits:
            raise TypeError(f"{self.name}.lua takes {self.keys} and {self.args}")
        return ("EVALSHA", self.sha, len(names), *names, *args)


def load_script(name: str) -> Script:
    """The script `lua/<name>.lua`. Raises ScriptError."""
    path = script_folder() / f"{name}.lua"
    try:
        return parse_script(name, path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ScriptError(f"no script {name}.lua in {path.parent}") from None


def parse_script(name: str, source: str) -> Script:
    """Read a script's head: `#!lua`, a purpose, then KEYS, ARGV, REPLY and COST. Raises ScriptError."""
    lines = source.splitlines()
    if not lines or not lines[0].startswith("#!lua"):
        raise ScriptError(f"{name}.lua must start with #!lua: only then does the server refuse it up front")
    head = [line for line in lines[1 : _head_end(lines)] if line.startswith("-- ")]
    if not head or not any(line.startswith("-- REPLY ") for line in head) or not head[-1].startswith("-- COST "):
        raise ScriptError(f"{name}.lua needs a head of purpose, KEYS, ARGV, REPLY and COST")
    declared = [match.groups() for line in head if (match := _HEAD_LINE.fullmatch(line))]
    return Script(
        name=name,
        source=source,
        # Not for security: the server names scripts by SHA-1.
        sha=sha1(source.encode(), usedforsecurity=False).hexdigest(),
        keys=tuple(word for kind, word, _, _ in declared if kind == "KEYS"),
        args=tuple(word for kind, word, _, _ in declared if kind == "ARGV"),
        variadic=declared[-1][2] == "strings" if declared else False,
    )


def script_folder() -> Path:
    """The folder of the scripts, in the package where it was installed from a wheel, else in the checkout."""
    installed = Path(str(files("claimd"))) / "lua"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "lua"


def _head_end(lines: list[str]) -> int:
    return next((number for number, line in enumerate(lines[1:], 1) if not line.startswith("--")), len(lines))
