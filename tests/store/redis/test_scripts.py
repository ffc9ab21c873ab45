"""The Lua files: their heads are of the fixed form and true of their bodies, and an installed wheel finds them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from claimd.store.redis.scripts import Script, ScriptError, load_script, parse_script, script_folder

SCRIPTS = sorted(path.stem for path in script_folder().glob("*.lua"))
_STRICT_CALL = re.compile(r"redis\.call\('(TIME'\)|[A-Z]+', KEYS\[\d+\]\s*[,)])")
CHECKOUT = Path(__file__).parents[3]


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
        "round_archive",
        "round_create",
        "round_delete",
        "round_edit",
    ]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_head_is_true_of_its_body(name: str) -> None:
    """Each declared key and argument is used, in order, and no other is; arguments under their own names."""
    script = load_script(name)
    used = {int(number) for number in re.findall(r"KEYS\[(\d+)\]", _body(script))}
    # This one asks about commands, and runs none.
    assert used == set(range(1, len(script.keys) + 1)) or name == "denied"
    read = re.findall(r"(?:ARGV\[|unpack\(ARGV, |for i = (?=\d+, #ARGV))(\d+)", _body(script))
    assert max(map(int, read)) == len(script.args)
    for number, word in enumerate(script.args, 1):
        if word != "pairs":
            assert re.search(rf"local [\w, ]*\b{word}\b[\w, ]* = .*ARGV\[{number}\]", _body(script))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_keeps_to_the_strictest_servers(name: str) -> None:
    """It has a key, and each command is given its key as `KEYS[n]` itself, not through a variable.

    The cluster edition of Alibaba Cloud refuses others: it looks at the text. A key that is built in Lua would escape
    any cluster.
    """
    assert strictness_problems(load_script(name)) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return redis.call('GET', KEYS[1])", ""),
        ("return redis.call('TIME')", ""),
        ("return redis.call('GET', key)", "redis.call('GET', key)"),
        ("return redis.call('GET', KEYS[1] .. ':x')", "redis.call('GET', KEYS[1] .. ':x')"),
        ("return redis.call('GET', KEYS[n])", "redis.call('GET', KEYS[n])"),
        ("return redis.call('GET',\n  'spelled')", "redis.call('GET', 'spelled')"),
        ("return redis.pcall('GET', KEYS[1])", "redis.pcall('GET', KEYS[1])"),
        ("local call = redis.call\nreturn call('GET', 'k')", "redis.call"),
        ("return redis.call(ARGV[1], KEYS[1])", "redis.call(ARGV[1], KEYS[1])"),
    ],
)
def test_what_strict_servers_refuse_is_found(body: str, problem: str) -> None:
    """Variables, concatenations, keys that are spelled, commands by another name."""
    script = parse_script("tried", f"#!lua\n-- Purpose.\n-- KEYS  k  string  what\n-- REPLY x\n-- COST  O(1)\n{body}\n")
    assert strictness_problems(script) == ([problem] if problem else [])


def test_a_script_without_keys_is_found() -> None:
    """Such a server cannot know which node should run it."""
    script = parse_script("tried", "#!lua\n-- Purpose.\n-- REPLY x\n-- COST  O(1)\nreturn 1\n")
    assert strictness_problems(script) == ["no key is declared"]


def strictness_problems(script: Script) -> list[str]:
    """What the strictest managed servers refuse: calls whose key is not literally `KEYS[n]`, scripts without a key."""
    body = " ".join(_body(script).split())
    found = [] if script.keys else ["no key is declared"]
    uses = re.finditer(r"redis\.p?call\b(\([^()]*\)?)?", body)
    return found + [use[0] for use in uses if not _STRICT_CALL.match(body, use.start())]


def _body(script: Script) -> str:
    return "\n".join(line for line in script.source.splitlines() if not line.startswith("--"))


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
        "import claimd.store.redis.scripts as s; "
        f"print(s.script_folder(), *(s.load_script(n).sha for n in {SCRIPTS!r}), sep='\\n')"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(site)}, check=True, capture_output=True
    )
    folder, *shas = told.stdout.decode().split()
    assert Path(folder) == site / "claimd" / "lua"
    assert shas == [load_script(name).sha for name in SCRIPTS]
