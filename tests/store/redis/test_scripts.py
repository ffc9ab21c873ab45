"""The Lua files: heads have the fixed form and match the bodies, includes are resolved, a wheel contains them all."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from claimd.domain.outcomes import ORDER_OF_DECISION, Outcome
from claimd.domain.rounds import MAX_STEP_BACK_MS
from claimd.store.redis.script_text import ScriptError, read_lua, script_folder
from claimd.store.redis.scripts import Script, load_script, parse_include, parse_script, write_scripts

SCRIPTS = sorted(path.stem for path in script_folder().glob("*.lua"))
INCLUDES = sorted(f"includes/{path.stem}" for path in (script_folder() / "includes").glob("*.lua"))
HEAD = "#!lua\n-- Purpose.\n-- KEYS  round  hash  what\n-- REPLY x\n-- COST  O(1)\n"
_STRICT_CALL = re.compile(r"redis\.call\('(TIME'\)|[A-Z]+', KEYS\[\d+\]\s*[,)])")
CHECKOUT = Path(__file__).parents[3]


def test_each_operation_of_the_store_has_one_script() -> None:
    """A new script is added here, so that none is left over by mistake."""
    assert SCRIPTS == [
        "acl_denied",
        "claim",
        "claim_void",
        "claims_find",
        "counts_merge",
        "counts_read",
        "counts_save",
        "counts_settle",
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
    # acl_denied asks about commands and runs none.
    assert used == set(range(1, len(script.keys) + 1)) or name == "acl_denied"
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
def test_the_check_finds_what_strict_servers_reject(body: str, problem: str) -> None:
    """Keys in variables, concatenated keys, literal keys, and commands that are no literal."""
    script = parse_script("tried", f"{HEAD}{body}\n")
    assert strictness_problems(script) == ([problem] if problem else [])


def test_the_check_finds_a_script_without_keys() -> None:
    """A cluster cannot choose the node for a script that has no key."""
    script = parse_script("tried", "#!lua\n-- Purpose.\n-- REPLY x\n-- COST  O(1)\nreturn 1\n")
    assert strictness_problems(script) == ["no key is declared"]


def strictness_problems(script: Script) -> list[str]:
    """The calls that the strictest managed servers reject: their key is not literally `KEYS[n]`; and a missing key."""
    body = " ".join(_body(script).split())
    found = [] if script.keys else ["no key is declared"]
    uses = re.finditer(r"redis\.p?call\b(\([^()]*\)?)?", body)
    return found + [use[0] for use in uses if not _STRICT_CALL.match(body, use.start())]


def _body(script: Script) -> str:
    return _code(script.source)


def _own_body(name: str) -> str:
    """The code of a script without its includes, and without the fields that it reads."""
    return re.sub(r"read_round\(\{.*?\}\)", "", _code(read_lua(name, script_folder())), flags=re.DOTALL)


def _code(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("--") and line)


@pytest.mark.parametrize(
    "source",
    [
        "-- No shebang.\n",
        "#!lua\nreturn 1\n",
        "#!lua\n-- Purpose.\n-- KEYS  a  hash  what\n-- COST  O(1)\nreturn 1\n",
        "#!lua\n-- Purpose.\n-- REPLY nothing\nreturn 1\n",
    ],
)
def test_a_script_without_a_proper_head_is_rejected(source: str) -> None:
    """The loader reads heads, so a head that is out of date is noticed."""
    with pytest.raises(ScriptError):
        parse_script("bad", source)


def test_a_missing_script_is_named() -> None:
    """The error of a broken installation names the file that is missing."""
    with pytest.raises(ScriptError, match=r"nothing\.lua"):
        load_script("nothing")


@pytest.mark.parametrize("name", INCLUDES)
def test_the_head_of_an_include_is_true_of_its_body(name: str) -> None:
    """DEFINES names every local at the top level, NEEDS every local and key that it uses from elsewhere."""
    source = read_lua(name, script_folder())
    head, body = parse_include(name, source), _code(source)
    assert list(head.defines) == re.findall(r"^local (?:function )?(\w+)", body, re.MULTILINE)
    of_others = {word for other in INCLUDES for word in parse_include(other, read_lua(other, script_folder())).defines}
    assert set(head.needs) == (of_others - set(head.defines)) & set(re.findall(r"\w+", body))
    assert set(head.keys) == {int(number) for number in re.findall(r"KEYS\[(\d+)\]", body)}
    assert "ARGV" not in body


@pytest.mark.parametrize("name", INCLUDES)
def test_an_include_is_used(name: str) -> None:
    """What no script includes is left over."""
    assert any(name in load_script(script).includes for script in SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_uses_what_it_includes(name: str) -> None:
    """The server compiles no line that a script has no use for."""
    script = load_script(name)
    for include in script.includes:
        for word in parse_include(include, read_lua(include, script_folder())).defines:
            assert len(re.findall(rf"\b{word}\b", _body(script))) >= 2, f"{word} of {include}"


def lua_folder(folder: Path, **files: str) -> Path:
    """`folder` with these files in it: `tried` is `tried.lua`, everything else is `includes/<name>.lua`."""
    (folder / "includes").mkdir()
    for name, source in files.items():
        path = folder if name == "tried" else folder / "includes"
        (path / f"{name}.lua").write_text(source)
    return folder


def test_includes_are_put_in_once_and_before_their_users(tmp_path: Path) -> None:
    """Nested ones too; the script stays one text, whose first line is `#!lua` and whose SHA is that of all of it."""
    folder = lua_folder(
        tmp_path,
        tried=f'{HEAD}--- @include "includes/a"\n--- @include "includes/b"\nreturn a() + b()\n',
        a='-- A.\n-- NEEDS   b\n-- DEFINES a()  one\n--- @include "includes/b"\nlocal function a() return b() end\n',
        b="-- B.\n-- DEFINES b()  one\nlocal function b() return 1 end\n",
    )
    script = load_script("tried", folder)
    assert script.includes == ("includes/b", "includes/a")
    assert _body(script).splitlines() == [
        "#!lua",
        "local function b() return 1 end",
        "local function a() return b() end",
        "return a() + b()",
    ]
    assert script.source.startswith("#!lua\n")
    assert script.keys == ("round",)
    assert script.sha == parse_script("tried", script.source).sha


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tried": f'{HEAD}--- @include "includes/b"\n'}, r"tried\.lua:6: no script includes/b\.lua"),
        ({"tried": f"{HEAD}return 1\n--- @include includes/a\n"}, r"tried\.lua:7: an include is written"),
        ({"tried": f'{HEAD}-- @include "includes/a"\n'}, r"tried\.lua:6: an include is written"),
        ({"tried": f'{HEAD}--- @include "../secret"\n'}, r"tried\.lua:6: an include is written"),
        (
            {"tried": f'{HEAD}--- @include "includes/a"\n', "a": '-- A.\n--- @include "includes/b"\n'},
            r"includes/a\.lua:2: no script includes/b\.lua",
        ),
        (
            {"tried": f'{HEAD}--- @include "includes/a"\n', "a": '-- A.\n--- @include "includes/a"\n'},
            r"includes/a\.lua:2: includes/a includes includes/a",
        ),
        (
            {
                "tried": f'{HEAD}--- @include "includes/a"\n',
                "a": '-- A.\n--- @include "includes/b"\n',
                "b": '-- B.\n\n--- @include "includes/a"\n',
            },
            r"includes/b\.lua:3: includes/a includes includes/b includes includes/a",
        ),
        ({"tried": f'{HEAD}--- @include "includes/a"\n', "a": "-- A.\nlocal a = 1\n"}, r"includes/a\.lua needs a head"),
        (
            {
                "tried": f'{HEAD}--- @include "includes/a"\n',
                "a": "-- A.\n-- NEEDS   KEYS[1] log\n-- DEFINES a()  one\n",
            },
            r"tried\.lua includes includes/a\.lua, which needs the key log as KEYS\[1\]",
        ),
        (
            {"tried": f'{HEAD}--- @include "includes/a"\n', "a": "-- A.\n-- NEEDS   b\n-- DEFINES a()  one\n"},
            r"includes/a\.lua needs b: it must include what defines them",
        ),
    ],
)
def test_the_error_for_a_faulty_include_has_file_and_line(tmp_path: Path, files: dict[str, str], message: str) -> None:
    """Missing files, cycles, malformed lines, and heads that do not fit, with file and line."""
    with pytest.raises(ScriptError, match=message):
        load_script("tried", lua_folder(tmp_path, **files))


def test_scripts_can_be_written_with_their_includes(tmp_path: Path) -> None:
    """The files are exactly what the server gets, for the linter."""
    write_scripts(tmp_path / "new")
    written = {path.stem: path.read_text() for path in (tmp_path / "new").iterdir()}
    assert written == {name: load_script(name).source for name in SCRIPTS}


def test_the_head_of_claim_has_the_order_of_decision() -> None:
    """ORDER is the table of the domain, and the body gives its reasons in that order."""
    claim = load_script("claim")
    assert claim.order == ORDER_OF_DECISION
    reasons = [word for word in re.findall(r"'(\w+)'", _own_body("claim")) if word in set(ORDER_OF_DECISION)]
    assert reasons == [word for word in claim.order if word not in (Outcome.REPLAYED, Outcome.BARRED, Outcome.GRANTED)]


def test_an_installed_wheel_finds_its_scripts(tmp_path: Path) -> None:
    """Built, installed elsewhere and imported from there, claimd loads the same scripts and includes from the wheel."""
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
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(site)}, check=True, capture_output=True
    )
    folder, *shas = printed.stdout.decode().split()
    assert Path(folder) == site / "claimd" / "lua"
    assert shas == [load_script(name).sha for name in SCRIPTS]


def test_the_window_steps_back_as_far_in_the_script_as_in_the_value() -> None:
    """`window.lua` spells the bound of `Round.window_time_ms`, which no script can import."""
    fragment = (CHECKOUT / "lua" / "includes" / "window.lua").read_text()
    assert re.findall(r"max_step_back_ms = (\d+)", fragment) == [str(MAX_STEP_BACK_MS)]
