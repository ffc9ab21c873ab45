"""`claimd dev token`: a claim by hand with nothing but `claimd up`, and everywhere that such tokens are rejected."""

import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from typer.testing import CliRunner

from claimd.cli.app import app
from claimd.cli.arguments.token_claims import parse_token_claims
from claimd.errors import WrongUsage
from claimd.settings import Settings, SettingsError
from claimd.up.development_key import DevelopmentKey, refuse_development_jwks
from tests.identity.identity_provider import token, write_jwks
from tests.servers import Server
from tests.up.alone import SECRET
from tests.up.running import Up

# One worker, or each would start a claimd of its own.
pytestmark = pytest.mark.xdist_group("dev-token")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CLAIMD_{name.upper()}", raising=False)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A `claimd up` without any preparation, shared by the tests that leave it as it is."""
    with Up(tmp_path_factory.mktemp("dev") / "data") as up:
        yield up.until_ready()
        up.stop()


def dev(command: str, data_dir: Path, *arguments: str, exit_code: int = 0) -> str:
    """The output of `claimd dev COMMAND`, or what it prints on stderr where it fails."""
    line = ["dev", command, *arguments, "--data-dir", str(data_dir)]
    result = CliRunner().invoke(app, line, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return (result.stdout if exit_code == 0 else result.stderr).removesuffix("\n")


def dev_token(data_dir: Path, *flags: str, exit_code: int = 0) -> str:
    """The output of `claimd dev token`, or what it prints on stderr where it fails."""
    return dev("token", data_dir, *flags, exit_code=exit_code)


def claim(up: Up, round_id: str, bearer: str) -> tuple[int, dict[str, Any]]:
    """A claim with a bearer token."""
    return up.gateway("POST", f"/v1/rounds/{round_id}/claims", f"Bearer {bearer}")


def test_a_first_claim_needs_only_up_and_a_token(up: Up) -> None:
    """The token claims by itself, and gets a pass that claims; both are the claim of one person."""
    up.create_round("first")
    bearer = dev_token(up.data_dir, "--sub", "ada")
    status, answer = claim(up, "first", bearer)
    assert (status, answer["claim"]["serial"]) == (201, 1)
    status, issued = up.gateway("POST", "/v1/rounds/first/passes", f"Bearer {bearer}")
    assert status == 201
    status, answer = up.gateway("POST", "/v1/rounds/first/claims", f"Pass {issued['pass']}")
    assert (status, answer["claim"]["serial"], answer["replayed"]) == (200, 1, True)
    assert claim(up, "first", dev_token(up.data_dir, "--sub", "bob"))[1]["claim"]["serial"] == 2


def test_a_pass_claims_for_its_person(up: Up) -> None:
    """`claimd dev pass` prints a pass of the gateway's own; with `--json` its end and the address, too."""
    up.create_round("by-pass")
    text = dev("pass", up.data_dir, "by-pass", "--sub", "ada")
    assert up.gateway("POST", "/v1/rounds/by-pass/claims", f"Pass {text}")[0] == 201
    document = json.loads(dev("pass", up.data_dir, "by-pass", "--sub", "ada", "--json"))
    assert (document["sub"], document["round"]) == ("ada", "by-pass")
    assert document["expires_at"].endswith("Z")
    status, answer = up.gateway("POST", "/v1/rounds/by-pass/claims", f"Pass {document['pass']}")
    assert (status, answer["replayed"]) == (200, True)


@pytest.mark.parametrize(
    ("round_id", "exit_code", "sentence"),
    [
        ("nowhere", 1, "claimd: There is no such round (round_not_found)"),
        ("a/b", 2, "claimd: 'a/b' is not a round's id"),
        ("only-east", 1, "(not_eligible)"),
    ],
)
def test_a_pass_that_is_not_given_has_its_reason(up: Up, round_id: str, exit_code: int, sentence: str) -> None:
    """The gateway's own reason in one line, with its code."""
    body = {"id": "only-east", "title": "T", "total": 5, "eligibility": {"district": ["east"]}}
    up.console(
        "POST", "/admin/v1/rounds", {**body, "opens_at": "2020-01-01T00:00:00Z"} | {"closes_at": "2099-01-01T00:00:00Z"}
    )
    assert sentence in dev("pass", up.data_dir, round_id, "--sub", "ada", exit_code=exit_code)


def test_up_warns_and_the_key_is_private(up: Up) -> None:
    """The start has one loud line with the way to turn it off; the files have mode 600, and gateways get no key."""
    (line,) = [line for line in up.output.splitlines() if "development tokens" in line]
    assert line.startswith("  tokens    WARNING: ")
    assert "set CLAIMD_JWKS" in line
    for name in ("dev-key.pem", "dev-jwks.json"):
        assert stat.S_IMODE((up.data_dir / name).stat().st_mode) == 0o600, name
    (entry,) = json.loads((up.data_dir / "dev-jwks.json").read_text())["keys"]
    assert (entry["kty"], "d" in entry) == ("OKP", False)
    assert "dev-jwks.json" in Path(f"/proc/{up.pid('gateway-0')}/environ").read_text()


def test_claims_of_the_token_decide_eligibility(up: Up) -> None:
    """Text by `=`, JSON by `:=`; without the claim that a round asks for, the answer is 403."""
    body = {"id": "west", "title": "T", "total": 5, "eligibility": {"district": ["west"], "age": [18]}}
    window = {"opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z"}
    assert up.console("POST", "/admin/v1/rounds", {**body, **window})[0] == 201
    assert claim(up, "west", dev_token(up.data_dir, "--sub", "eve"))[0] == 403
    flags = ("--claim", "district=west", "--claim", "age:=18")
    assert claim(up, "west", dev_token(up.data_dir, "--sub", "ada", *flags))[0] == 201


def test_a_program_gets_the_token_its_end_and_the_address(up: Up) -> None:
    """With `--json`; the lifetime is an hour unless `--expires-in` has another."""
    address = up.process_file()["gateway"]
    for flags, seconds in (((), 3600), (("--expires-in", "2d"), 2 * 86_400)):
        document = json.loads(dev_token(up.data_dir, "--sub", "ada", "--json", *flags))
        assert document["sub"] == "ada"
        assert document["gateway"] == f"http://{address['host']}:{address['port']}"
        claims = jwt.decode(document["token"], options={"verify_signature": False})
        assert (claims["iss"], claims["aud"]) == ("claimd-dev", "claimd-dev")
        assert claims["exp"] - claims["iat"] == seconds
        assert abs(claims["iat"] - time.time()) < 60


def test_a_token_of_another_issuer_is_rejected(up: Up) -> None:
    """The gateways check `iss` and `aud`, so that one key signs for one purpose."""
    key = DevelopmentKey.read(up.data_dir)
    assert key is not None
    up.create_round("strict")
    forged = jwt.encode(
        {"sub": "ada", "exp": int(time.time()) + 60, "iss": "elsewhere", "aud": "claimd-dev"},
        key._private,
        "EdDSA",
        headers={"kid": key._kid},
    )
    assert claim(up, "strict", forged)[0] == 401
    assert claim(up, "strict", token("ada"))[0] == 401


@pytest.mark.parametrize(
    ("flags", "exit_code", "sentence"),
    [
        ((), 2, "Missing option '--sub'"),
        (("--sub", ""), 2, "--sub must have 1 to 512 bytes"),
        (("--sub", "ü" * 257), 2, "--sub must have 1 to 512 bytes"),
        (("--sub", "ada", "--expires-in", "soon"), 2, "--expires-in 'soon' must be a duration from 1s to 30d"),
        (("--sub", "ada", "--expires-in", "31d"), 2, "must be a duration from 1s to 30d"),
        (("--sub", "ada", "--expires-in", "0s"), 2, "must be a duration from 1s to 30d"),
        (("--sub", "ada", "--claim", "district"), 2, "--claim 'district' is no claim: NAME=TEXT, or NAME:=JSON"),
        (("--sub", "ada", "--claim", "iss=me"), 2, "iss is set by this command itself"),
    ],
)
def test_wrong_usage_is_one_line(up: Up, flags: tuple[str, ...], exit_code: int, sentence: str) -> None:
    """On stderr, with what would be right."""
    message = dev_token(up.data_dir, *flags, exit_code=exit_code)
    assert message.startswith("claimd: ")
    assert sentence in message
    assert "\n" not in message


def test_token_claims_on_the_command_line() -> None:
    """A URL may be a name; a text may have any sign in it; what is no text is JSON."""
    given = ("https://city.example/district=we=st", "age:=18", 'roles:=["a"]', "zip=018", "empty=")
    assert parse_token_claims(given, reserved=()) == {
        "https://city.example/district": "we=st",
        "age": 18,
        "roles": ["a"],
        "zip": "018",
        "empty": "",
    }
    for wrong in (("=x",), (":=1",), ("a:=nonsense",), ("a=1", "a=2"), ("a:=NaN",)):
        with pytest.raises(WrongUsage, match=r"^--claim "):
            parse_token_claims(wrong, reserved=())


def test_tokens_stay_valid_over_a_restart_and_the_command_ends_with_up(tmp_path: Path) -> None:
    """The key is kept. Without a `claimd up` there is a line that asks for one; a damaged key stops the next start."""
    data = tmp_path / "data"
    with Up(data, CLAIMD_JWT_IDENTITY="oid").until_ready() as up:
        up.create_round("r")
        bearer = dev_token(data, "--sub", "ada")
        assert jwt.decode(bearer, options={"verify_signature": False})["oid"] == "ada"
        assert claim(up, "r", bearer)[0] == 201
        assert "oid is set by this command itself" in dev_token(data, "--sub", "ada", "--claim", "oid=eve", exit_code=2)
        assert up.stop() == 0
    message = f"claimd: no `claimd up` runs on {data}: start one with `claimd up`"
    assert dev_token(data, "--sub", "ada", exit_code=1).startswith(message)
    with Up(data, CLAIMD_JWT_IDENTITY="oid").until_ready() as up:
        assert claim(up, "r", bearer)[0] == 200
        (data / "dev-key.pem").write_text("no key")
        damaged = dev_token(data, "--sub", "ada", exit_code=1)
        assert f"{data}/dev-key.pem is damaged" in damaged
        (data / "dev-key.pem").rename(data / "elsewhere")
        assert "is gone: a restart of `claimd up` makes a new one" in dev_token(data, "--sub", "ada", exit_code=1)
        (data / "elsewhere").rename(data / "dev-key.pem")
        assert claim(up, "r", bearer)[0] == 200
        up.process.kill()
        up.process.wait()
    # It could leave no word of its end.
    assert dev_token(data, "--sub", "ada", exit_code=1).startswith(message)
    with Up(data, CLAIMD_JWT_IDENTITY="oid") as up:
        assert up.process.wait(30) == 1
        assert "dev-key.pem is damaged (not an Ed25519 key): delete it" in up.output.splitlines()[-1]


def test_no_development_token_where_there_is_an_identity_provider(tmp_path: Path) -> None:
    """Nor a key, nor a warning; a token that was made before is rejected."""
    data, jwks = tmp_path / "data", write_jwks(tmp_path / "jwks.json")
    with Up(data).until_ready() as up:
        bearer = dev_token(data, "--sub", "ada")
        up.create_round("r")
        assert up.stop() == 0
    with Up(data, CLAIMD_JWKS=str(jwks)).until_ready() as up:
        assert "development tokens" not in up.output
        assert claim(up, "r", bearer)[0] == 401
        assert claim(up, "r", token("ada"))[0] == 201
        assert "tokens come from your identity provider" in dev_token(data, "--sub", "ada", exit_code=1)
        assert up.stop() == 0
    with Up(data, "--dev-tokens", CLAIMD_JWKS=str(jwks)) as up:
        assert up.process.wait(30) == 2
        assert "--dev-tokens: CLAIMD_JWKS is set" in up.output


def test_development_tokens_beyond_this_machine_are_asked_for(tmp_path: Path, valkey: Server) -> None:
    """A `claimd up` that other machines reach, or that uses another server, accepts none unless it was asked to."""
    public, external = ("--host", "0.0.0.0"), ("--redis-url", valkey.url)
    for number, flags in enumerate((public, external, ("--no-dev-tokens",))):
        data = tmp_path / str(number)
        with Up(data, *flags).until_ready() as up:
            assert "every bearer token is refused, as there is no JWKS" in up.output
            assert not (data / "dev-key.pem").exists()
            assert "accepts no development tokens" in dev_token(data, "--sub", "ada", exit_code=1)
            assert up.stop() == 0
    with Up(tmp_path / "0", *public, "--dev-tokens").until_ready() as up:
        assert "WARNING: development tokens are accepted" in up.output
        up.create_round("r")
        assert claim(up, "r", dev_token(tmp_path / "0", "--sub", "ada"))[0] == 201
        assert up.stop() == 0


def test_a_role_alone_refuses_the_development_key(tmp_path: Path, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it must not start by a slip with keys for which anyone signs; so does `claimd up` with it as a JWKS."""
    jwks = tmp_path / "copied.json"
    jwks.write_text((up.data_dir / "dev-jwks.json").read_text())
    # Where it were not refused, it would end at an address of which there is none.
    for name, value in (
        ("SECRET", SECRET),
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("HOST", "no-such-host.invalid"),
    ):
        monkeypatch.setenv(f"CLAIMD_{name}", value)
    result = CliRunner().invoke(app, ["gateway", "--jwks", str(jwks), "--jwt-issuer", "claimd-dev"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"claimd: CLAIMD_JWKS: {jwks} has a development key")
    with Up(tmp_path / "data", "--jwks", str(jwks)) as second:
        assert second.process.wait(30) == 2
        assert "has a development key" in second.output


async def test_other_keys_are_no_development_keys(tmp_path: Path) -> None:
    """Nor is a file that cannot be used: the check of tokens reports that one."""
    await refuse_development_jwks(Settings.read())
    await refuse_development_jwks(Settings.read(jwks=str(write_jwks(tmp_path / "jwks.json"))))
    await refuse_development_jwks(Settings.read(jwks=str(tmp_path / "absent.json")))
    await refuse_development_jwks(Settings.read(jwks="https://idp.example/keys"))
    jwks = DevelopmentKey.make(tmp_path).write_jwks(tmp_path)
    with pytest.raises(SettingsError, match="development key"):
        await refuse_development_jwks(Settings.read(jwks=str(jwks)))


def test_a_directory_without_claimd_is_named(tmp_path: Path) -> None:
    """One that is missing, one that is a file, one that was never claimd's."""
    missing = dev_token(tmp_path / "missing", "--sub", "ada", exit_code=1)
    assert missing.startswith(f"claimd: there is no data directory {tmp_path / 'missing'}: start one")
    (tmp_path / "file").touch()
    assert "file cannot be read: Not a directory" in dev_token(tmp_path / "file", "--sub", "ada", exit_code=1)
    (tmp_path / "empty").mkdir()
    assert "no `claimd up` runs on" in dev_token(tmp_path / "empty", "--sub", "ada", exit_code=1)
