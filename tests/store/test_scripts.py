"""The Lua files: their heads are of the fixed form and true of their bodies, and an installed wheel finds them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from claimd.store.scripts import ScriptError, load_script, parse_script, script_folder

SCRIPTS = sorted(path.stem for path in script_folder().glob("*.lua"))
CHECKOUT = Path(__file__).parents[2]


def test_there_are_the_scripts_that_the_store_calls() -> None:
    """One file an operation."""
    assert SCRIPTS == [
        "claim",
        "counts_merge",
        "counts_read",
        "counts_save",
        "counts_settle",
        "denied",
        "installation_agree",
        "round_create",
        "round_delete",
        "round_edit",
    ]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_head_is_true_of_its_body(name: str) -> None:
    """Each declared key is used and no other is; each argument is used under its own name, in order."""
    script = load_script(name)
    body = "\n".join(line for line in script.source.splitlines() if not line.startswith("--"))
    assert {int(n) for n in re.findall(r"KEYS\[(\d+)\]", body)} == set(range(1, len(script.keys) + 1))
    assert max(int(n) for n in re.findall(r"(?:ARGV\[|unpack\(ARGV, |for i = (?=\d+, #ARGV))(\d+)", body)) == len(
        script.args
    )
    for number, word in enumerate(script.args, 1):
        if word != "pairs":
            assert re.search(rf"local [\w, ]*\b{word}\b[\w, ]* = .*ARGV\[{number}\]", body)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_key_is_built_in_lua(name: str) -> None:
    """Every key that a command is given is KEYS itself: the strictest managed clusters refuse even a local of it."""
    script = load_script(name)
    calls = re.findall(r"redis\.call\('(\w+)'(?:, ([\w\[\]]+))?", script.source)
    # This one asks about commands, and runs none.
    assert bool(calls) == (name != "denied")
    assert {key for command, key in calls if command != "TIME"} <= {f"KEYS[{n + 1}]" for n in range(len(script.keys))}


@pytest.mark.parametrize(
    "source",
    [
        "-- No shebang.\n",
        "#!lua\nreturn 1\n",
        "#!lua\n-- Purpose.\n-- KEYS  a  hash  what\n-- COST  O(1)\nreturn 1\n",
        "#!lua\n-- Purpose.\n-- REPLY nothing\nreturn 1\n",
    ],
)
def test_a_script_without_a_proper_head_is_refused(source: str) -> None:
    """The loader reads heads, so they cannot rot unnoticed."""
    with pytest.raises(ScriptError):
        parse_script("bad", source)


def test_a_missing_script_is_named() -> None:
    """So that a broken installation says what is missing."""
    with pytest.raises(ScriptError, match=r"nothing\.lua"):
        load_script("nothing")


def test_an_installed_wheel_finds_its_scripts(tmp_path: Path) -> None:
    """Built, installed elsewhere and imported from there, claimd loads the same scripts out of the wheel."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    program = (
        "import claimd.store.scripts as s; "
        f"print(s.script_folder(), *(s.load_script(n).sha for n in {SCRIPTS!r}), sep='\\n')"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(site)}, check=True, capture_output=True
    )
    folder, *shas = told.stdout.decode().split()
    assert Path(folder) == site / "claimd" / "lua"
    assert shas == [load_script(name).sha for name in SCRIPTS]
