"""Loads the Lua scripts and reads their heads: callers pass exactly the keys and arguments that a head declares.

`python -m claimd.store.redis.scripts FOLDER` writes the text of each script, with its includes, as the server gets it:
that is what a linter can check, and what the line numbers in the server's error messages refer to.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha1
from pathlib import Path

from claimd.store.redis.script_text import ScriptError, read_lua, script_folder, script_text

_ARGUMENT = re.compile(r"--\s+(KEYS|ARGV)\s+(\w+)\s+(\w+)\s+(\S.*)")
_ORDER = re.compile(r"--\s+ORDER\s+(\w+(?: \w+)*)")
_NEEDED_KEY = re.compile(r"--\s+NEEDS\s+KEYS\[(\d)\]\s+(\w+)")
_NEEDED_LOCALS = re.compile(r"--\s+NEEDS\s+(\w+(?: \w+)*)")
_DEFINED = re.compile(r"--\s+DEFINES\s+(\w+)\(.*\)  \S.*")


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script. `keys` and `args` are the names its head declares, in sequence; `sha` is what EVALSHA takes.

    `source` includes the text of its includes. With `variadic` the last of `args` stands for any number of arguments,
    also none: the head gives it the type `strings`. `order` is the ORDER line of the head, empty where there is none.
    """

    name: str
    source: str
    sha: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    variadic: bool = False
    order: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()

    def command(self, names: Sequence[str], args: Sequence[str | bytes]) -> tuple[str | bytes | int, ...]:
        """EVALSHA with these keys and arguments. Raises TypeError where the head declares others."""
        fits = len(args) >= len(self.args) - 1 if self.variadic else len(args) == len(self.args)
        if len(names) != len(self.keys) or not fits:
            raise TypeError(f"{self.name}.lua takes {self.keys} and {self.args}")
        return ("EVALSHA", self.sha, len(names), *names, *args)


@dataclass(frozen=True, slots=True)
class IncludeHead:
    """What an include declares: the locals it `defines`, those it `needs` defined before it, and the keys that it uses.

    `keys` maps the number n of `KEYS[n]` to the name that the head of every script that includes it has for this key.
    """

    name: str
    defines: tuple[str, ...]
    needs: tuple[str, ...]
    keys: dict[int, str]


def load_script(name: str, folder: Path | None = None) -> Script:
    """The script `<name>.lua` of `folder`, with its includes; of `script_folder()` if None. Raises ScriptError."""
    folder = folder or script_folder()
    whole = script_text(name, folder)
    script = replace(parse_script(name, whole.text), includes=whole.includes)
    defined: set[str] = set()
    for head in (parse_include(include, read_lua(include, folder)) for include in whole.includes):
        for number, key in head.keys.items():
            if script.keys[number - 1 : number] != (key,):
                raise ScriptError(f"{name}.lua includes {head.name}.lua, which needs the key {key} as KEYS[{number}]")
        if not defined.issuperset(head.needs):
            raise ScriptError(f"{head.name}.lua needs {', '.join(head.needs)}: it must include what defines them")
        defined.update(head.defines)
    return script


def parse_script(name: str, source: str) -> Script:
    """Read a script's head: `#!lua`, a purpose, then KEYS, ARGV, REPLY, ORDER if any, COST. Raises ScriptError."""
    lines = source.splitlines()
    if not lines or not lines[0].startswith("#!lua"):
        raise ScriptError(f"{name}.lua must start with #!lua: only then does the server check its flags before it runs")
    head = _head(lines[1:])
    if not head or not any(line.startswith("-- REPLY ") for line in head) or not _ends_with_cost(head):
        raise ScriptError(f"{name}.lua needs a head of purpose, KEYS, ARGV, REPLY and COST")
    declared = [match.groups() for line in head if (match := _ARGUMENT.fullmatch(line))]
    return Script(
        name=name,
        source=source,
        # Not for security: the server names scripts by SHA-1.
        sha=sha1(source.encode(), usedforsecurity=False).hexdigest(),
        keys=tuple(word for kind, word, _, _ in declared if kind == "KEYS"),
        args=tuple(word for kind, word, _, _ in declared if kind == "ARGV"),
        variadic=declared[-1][2] == "strings" if declared else False,
        order=tuple(word for line in head if (match := _ORDER.fullmatch(line)) for word in match[1].split()),
    )


def parse_include(name: str, source: str) -> IncludeHead:
    """Read an include's head: a purpose, NEEDS if any, and DEFINES. Raises ScriptError where it defines nothing."""
    head = _head(source.splitlines())
    defines = tuple(match[1] for line in head if (match := _DEFINED.fullmatch(line)))
    if not head or head[0].startswith(("-- NEEDS", "-- DEFINES")) or not defines:
        raise ScriptError(f"{name}.lua needs a head of purpose, NEEDS and DEFINES")
    needs = tuple(word for line in head if (match := _NEEDED_LOCALS.fullmatch(line)) for word in match[1].split())
    keys = {int(match[1]): match[2] for line in head if (match := _NEEDED_KEY.fullmatch(line))}
    return IncludeHead(name, defines, needs, keys)


def _head(lines: list[str]) -> list[str]:
    """The comment that `lines` begin with, without its empty lines; an include line (`---`) is no part of it."""
    end = next((number for number, line in enumerate(lines) if line != "--" and line[:3] != "-- "), len(lines))
    return [line for line in lines[:end] if line != "--"]


def _ends_with_cost(head: list[str]) -> bool:
    """Whether COST comes last; its text may go on in further lines, which are indented."""
    last = [line for line in head if not line.startswith("--  ")][-1:]
    return bool(last) and last[0].startswith("-- COST ")


def write_scripts(folder: Path) -> None:
    """Write the text of every script to `folder`, which is made where it is missing. Raises ScriptError."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(script_folder().glob("*.lua")):
        (folder / path.name).write_text(load_script(path.stem).source, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m claimd.store.redis.scripts FOLDER")
    write_scripts(Path(sys.argv[1]))
