"""The lines of a start on tokens and variables, and that the gateways then behave accordingly."""

import http.server
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from claimd.cli.app import app
from claimd.doctor.findings import report_findings
from claimd.doctor.tokens import check_tokens
from claimd.settings import Settings, SettingsError
from tests.identity.identity_provider import public_jwk, token, write_jwks
from tests.servers import free_port
from tests.up.running import Up, eventually


async def lines(**settings: Any) -> list[str]:
    """The lines on tokens under those settings."""
    printed: list[str] = []
    report_findings(await check_tokens(Settings.read(**settings)), printed.append)
    return printed


async def test_without_a_jwks_a_warning_reports_that_no_token_is_accepted() -> None:
    """An operator learns it at the start, not from clients."""
    assert await lines() == [
        "tokens    WARNING: every bearer token is refused, as there is no JWKS; name one with CLAIMD_JWKS"
    ]


async def test_a_line_lists_what_is_checked_of_tokens(tmp_path: Path) -> None:
    """The keys, ignored keys, issuer, audience, identity claim and leeway."""
    entries = [public_jwk("rsa"), public_jwk("ec"), {**public_jwk("rsa"), "kid": "enc", "use": "enc"}]
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": entries}))
    allowed = "iss https://a.example or https://b.example; aud app"
    strict = {"jwt_issuer": "https://a.example, https://b.example", "jwt_audience": "app"}
    assert await lines(jwks=str(path), **strict, jwt_identity="oid", jwt_leeway=2.5) == [
        f"tokens    {path} has 2 keys; passed over: key 2 ('enc') is not for signatures (use)",
        f"tokens    checked: signature, exp, nbf, iat; {allowed}; the person is oid; leeway 2.5 s",
    ]


async def test_what_is_not_checked_is_a_warning(tmp_path: Path) -> None:
    """One each for issuer and audience."""
    jwks = str(write_jwks(tmp_path / "jwks.json"))
    (issuer,) = [line for line in await lines(jwks=jwks, jwt_audience="a") if "WARNING" in line]
    assert "CLAIMD_JWT_ISSUER" in issuer
    (audience,) = [line for line in await lines(jwks=jwks, jwt_issuer="a") if "WARNING" in line]
    assert "CLAIMD_JWT_AUDIENCE" in audience


async def test_a_jwks_without_keys_is_a_warning(tmp_path: Path) -> None:
    """An empty one, and one without a usable key, whose reasons are listed."""
    path = tmp_path / "jwks.json"
    for entries in ([], [{**public_jwk("rsa"), "use": "enc"}]):
        path.write_text(json.dumps({"keys": entries}))
        first = (await lines(jwks=str(path)))[0]
        assert first.startswith(f"tokens    WARNING: {path} has no key that verifies: every bearer token is refused")
        assert ("passed over" in first) == bool(entries)


async def test_a_file_that_cannot_be_used_ends_the_start_and_a_url_does_not(tmp_path: Path) -> None:
    """A missing file is a typing error; a provider may be down for a moment, and passes need no provider."""
    with pytest.raises(SettingsError, match=r"CLAIMD_JWKS: .* cannot be read"):
        await lines(jwks=str(tmp_path / "absent.json"))
    (tmp_path / "jwks.json").write_text("{")
    with pytest.raises(SettingsError, match=r"CLAIMD_JWKS: .* is not JSON"):
        await lines(jwks=str(tmp_path / "jwks.json"))
    first = (await lines(jwks="http://127.0.0.1:1/keys"))[0]
    assert first.startswith("tokens    WARNING: http://127.0.0.1:1/keys cannot be read: ")
    assert first.endswith("bearer tokens are answered 503 until it can be read")


@pytest.mark.parametrize("role", ["gateway", "console"])
def test_a_role_alone_warns_of_unknown_variables(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning comes before it listens."""
    for name, value in {
        "CLAIMD_SECRET": "s" * 32,
        "CLAIMD_ADMIN_TOKEN": "t",
        "CLAIMD_REDIS_URL": "redis://127.0.0.1:1",
        "CLAIMD_PORT": "tcp://10.96.12.7:8080",
        "CLAIMD_CONSOLE_PORT": "tcp://10.96.12.8:8081",
        "CLAIMD_ADMIN_TOKENS": "hush",
        "CLAIMD_HOST": "no-such-host.invalid",
        "CLAIMD_CONSOLE_HOST": "no-such-host.invalid",
    }.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, [role])
    assert done.exit_code == 1, done.output
    warnings = [line for line in done.stdout.splitlines() if line.startswith("settings ")]
    assert warnings == [
        "settings  WARNING: CLAIMD_ADMIN_TOKENS is not a setting and has no effect; did you mean CLAIMD_ADMIN_TOKEN?"
    ]
    assert ("every bearer token is refused" in done.stdout) == (role == "gateway")
    assert "hush" not in done.output


def test_a_deployment_in_an_orchestrator_reads_rotated_keys(tmp_path: Path) -> None:
    """Injected variables are ignored, secrets come from files, unknown variables are reported once, keys rotate without
    a restart, and the log counts rejected tokens by reason, without the tokens.
    """
    (tmp_path / "secret").write_text("s" * 40 + "\n")
    (tmp_path / "token").write_text("t" * 40 + "\n")
    jwks = write_jwks(tmp_path / "jwks.json", "oct")
    environment = {
        "CLAIMD_SECRET_FILE": str(tmp_path / "secret"),
        "CLAIMD_ADMIN_TOKEN_FILE": str(tmp_path / "token"),
        "CLAIMD_CONSOLE_SERVICE_HOST": "10.96.12.7",
        "CLAIMD_PORT_8080_TCP_ADDR": "10.96.12.7",
        "CLAIMD_JWT_IDENTIFY": "oid",
    }
    with Up(tmp_path / "data", "--jwks", str(jwks), **environment).until_ready() as up:
        assert up.output.count("CLAIMD_JWT_IDENTIFY") == 1
        assert "did you mean CLAIMD_JWT_IDENTITY?" in up.output
        assert "as set by CLAIMD_ADMIN_TOKEN" in up.output
        assert not {"secret", "admin-token"} & {path.name for path in up.data_dir.iterdir()}
        for name, holds, lacks in (("gateway-0", "s" * 40, "t" * 40), ("console", "t" * 40, str(jwks))):
            environ = Path(f"/proc/{up.pid(name)}/environ").read_text()
            assert holds in environ
            assert lacks not in environ
            assert "CLAIMD_SECRET_FILE" not in environ
            assert "CLAIMD_ADMIN_TOKEN_FILE" not in environ
        passes = "/v1/rounds/absent/passes"
        assert up.gateway("POST", passes, f"Bearer {token('ada')}")[0] == 404
        new = token("ada", "okp")
        assert up.gateway("POST", passes, f"Bearer {new}")[0] == 401
        write_jwks(tmp_path / "new.json", "okp").replace(jwks)
        eventually(lambda: up.gateway("POST", passes, f"Bearer {new}")[0] == 404, "the new key")
        assert up.gateway("POST", passes, f"Bearer {token('ada')}")[0] == 401
        eventually(lambda: "gateway: 401 unknown_key, " in up.output, "the reason in the log")
        assert new not in up.output
        jwks.write_text("{")
        eventually(lambda: "is not JSON" in up.output, "a warning")
        assert up.gateway("POST", passes, f"Bearer {new}")[0] == 404
        assert up.stop() == 0


def test_an_identity_provider_that_starts_later_and_rotates_its_keys(tmp_path: Path) -> None:
    """While it is down, tokens are answered 503 and passes are accepted. Then its keys are used without a restart, the
    first token of a new key is accepted at once, and requests with unknown keys cause no more fetches.
    """
    document = {"keys": [public_jwk("oct")]}
    fetches: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetches.append(self.path)
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    port, passes = free_port(), "/v1/rounds/r/passes"
    with Up(tmp_path / "data", "--jwks", f"http://127.0.0.1:{port}/keys?tenant=7").until_ready() as up:
        up.create_round("r")
        assert up.gateway("POST", passes, f"Bearer {token('ada')}")[0] == 503
        assert up.claim("r", "ada")[0] == 201
        with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as provider:
            threading.Thread(target=provider.serve_forever, daemon=True).start()
            try:
                eventually(lambda: up.gateway("POST", passes, f"Bearer {token('ada')}")[0] == 201, "the keys")
                document["keys"].append(public_jwk("okp"))
                before = len(fetches)
                assert up.gateway("POST", passes, f"Bearer {token('bob', 'okp')}")[0] == 201
                for _ in range(20):
                    assert up.gateway("POST", passes, f"Bearer {token('eve', 'ec')}")[0] == 401
                assert fetches[before:] == ["/keys?tenant=7"]
            finally:
                provider.shutdown()
        assert up.gateway("POST", passes, f"Bearer {token('bob', 'okp')}")[0] == 201
        assert "tenant" not in up.output
        assert up.stop() == 0
