"""The text of a Lua script with its includes in it: the server takes one text and names it by one SHA.

The scripts are in `lua/` of a checkout and in `claimd/lua/` of an installed wheel; what several of them share is in
`includes/` below it. Behind a line `--- @include "includes/<name>"` comes the text of that file, in a script once: a
second line for the same file adds nothing. An include may include others.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

_DIRECTIVE = re.compile(r'--- @include "(includes/[a-z_]+)"')
# What looks like a directive and is none would be a comment to the server, which fails at the first call only.
_NEARLY = re.compile(r"\s*--+\s*@\s*include", re.IGNORECASE)


class ScriptError(Exception):
    """A Lua file is missing, or it is not of the fixed form; the message names the file and, where it can, the line."""


@dataclass(frozen=True, slots=True)
class ScriptText:
    """What the server gets. `includes` are the included files as `includes/<name>`, each once, before its users."""

    text: str
    includes: tuple[str, ...]


def script_folder() -> Path:
    """The folder of the scripts: in the package where it was installed from a wheel, else in the checkout."""
    installed = Path(str(files("claimd"))) / "lua"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "lua"


def script_text(name: str, folder: Path) -> ScriptText:
    """`<folder>/<name>.lua` with its includes. Raises ScriptError where a file is missing or includes itself."""
    includes: list[str] = []
    lines = _expand(folder, (name,), read_lua(name, folder), includes)
    return ScriptText("".join(f"{line}\n" for line in lines), tuple(includes))


def read_lua(name: str, folder: Path) -> str:
    """The text of `<folder>/<name>.lua` as it is in the file. Raises ScriptError where there is none."""
    try:
        return (folder / f"{name}.lua").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScriptError(f"no script {name}.lua in {folder}") from None


def _expand(folder: Path, path: tuple[str, ...], source: str, includes: list[str]) -> Iterator[str]:
    """The lines of the last file of `path`; each file of `path` includes the next. Adds to `includes`."""
    for number, line in enumerate(source.splitlines(), 1):
        yield line
        if not _NEARLY.match(line):
            continue
        where = f"{path[-1]}.lua:{number}"
        directive = _DIRECTIVE.fullmatch(line)
        if directive is None:
            raise ScriptError(f'{where}: an include is written --- @include "includes/<name>"')
        include = directive[1]
        if include in path:
            raise ScriptError(f"{where}: {' includes '.join((*path[path.index(include) :], include))}")
        if include not in includes:
            try:
                included = read_lua(include, folder)
            except ScriptError as error:
                raise ScriptError(f"{where}: {error}") from None
            yield from _expand(folder, (*path, include), included, includes)
            includes.append(include)
