"""Where secrets and identities must not appear: real processes that fail in every way that writes a line."""

import base64
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from typer.testing import CliRunner

from claimd.cli.app import app
from claimd.embedded.binary import valkey_binary
from tests.identity.identity_provider import token, write_jwks
from tests.up.running import Up, eventually

ROUNDS = ("r", "broken", "twisted", "mistyped")
# In each round the first person has a pass, the second a token.
PEOPLE = {name: [f"{who}-in-{name}@people.example" for who in ("ann", "bob")] for name in ROUNDS}


class LockedServer:
    """An external Valkey on TCP with a password; it can be restarted with another one."""

    def __init__(self, directory: Path) -> None:
        self.password = "hush-" + os.urandom(12).hex()
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            self.port = int(probe.getsockname()[1])
        self._directory = directory
        self.process = self._run(self.password)

    @property
    def url(self) -> str:
        return f"redis://default:{self.password}@127.0.0.1:{self.port}/0"

    def client(self, password: str) -> redis.Redis:
        retry = Retry(ConstantBackoff(0.02), 500)
        return redis.Redis(port=self.port, password=password, retry=retry, retry_on_error=[redis.ConnectionError])

    def restart(self, password: str) -> None:
        """Kill it, and start it with another password."""
        self.kill()
        self.process = self._run(password)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _run(self, password: str) -> subprocess.Popen[bytes]:
        # In a file: a password among the arguments would itself be visible to every user.
        file = self._directory / "external.conf"
        file.write_text(f"port {self.port}\nbind 127.0.0.1\nrequirepass {password}\ndir {self._directory}\nsave ''\n")
        process = subprocess.Popen([valkey_binary(), file], stdout=subprocess.DEVNULL)
        with self.client(password) as client:
            client.ping()
        return process


@contextmanager
def locked_server(directory: Path) -> Iterator[LockedServer]:
    directory.mkdir()
    server = LockedServer(directory)
    try:
        yield server
    finally:
        server.kill()


def _spellings(needle: str | bytes) -> set[bytes]:
    raw = needle.encode() if isinstance(needle, str) else needle
    spelled = {raw, raw.hex().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw), repr(raw)[2:-1].encode()}
    return {one.rstrip(b"=") for one in spelled}


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _descendants(int(child))


def _modes(directory: Path) -> dict[str, int]:
    return {str(path): stat.S_IMODE(path.lstat().st_mode) for path in [directory, *directory.rglob("*")]}


def _send_all_requests(up: Up, credentials: dict[str, str], *, claiming: bool = True) -> None:
    """Send requests with valid, damaged and misplaced credentials; many at once, as some wait for the server.

    `credentials` are passes and tokens, with the round that each is for.
    """
    requests = [("GET", path, "") for path in ("/v1/rounds", "/v1/rounds/broken", "/readyz")]
    for text, own_round in credentials.items():
        scheme = "Bearer" if "." in text else "Pass"
        for who in (f"{scheme} {text}", f"{scheme} {text[:-8]}AAAAAAAA", f"Basic {text}"):
            for path in (f"/v1/rounds/{own_round}", "/v1/rounds/absent"):
                requests += [("GET", f"{path}/claims/me", who), ("POST", f"{path}/passes", who)]
                # A claim that the server rejects is retried for seconds, a lookup is answered at once.
                requests += [("POST", f"{path}/claims", who)] if claiming and own_round in ("r", "twisted") else []
        for path in (f"/v1/rounds/{text}", f"/v1/rounds/r/claims/{text}", f"/v1/rounds?pass={text}", f"/{text}"):
            requests.append(("GET", path, ""))
    with ThreadPoolExecutor(24) as threads:
        for _ in threads.map(lambda request: up.gateway(*request), requests):
            pass
        for path in ("", "/broken", "/broken/audit", "/broken/claims", "/twisted/audit", "/r/audit"):
            with suppress(ValueError, OSError):
                up.console("GET", f"/admin/v1/rounds{path}")


def _send(port: int, data: bytes) -> None:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(data)
        while raw.recv(65_536):
            pass


def _send_invalid_http(up: Up, pass_text: str, bearer: str) -> None:
    """Send requests that a parser rejects, as its error quotes the input."""
    for side, who in [("gateway", f"Pass {pass_text}"), ("gateway", f"Bearer {bearer}"), ("console", _admin(up))]:
        line, field = "GET /v1/rounds/r/claims/me HTTP/1.1\r\nHost: x\r\n", f"Authorization: {who}\r\n"
        for data in (
            line + field.replace(":", " :") + "\r\n",
            line + field.replace(": ", ":\0") + "\r\n",
            line + field + field + "Connection: close\r\n\r\n",
            line.replace(" HTTP", f" {who} HTTP") + "\r\n",
            line + field + "Content-Length: -1\r\n\r\n",
            f"{who}\r\n\r\n",
        ):
            _send(up.process_file()[side]["port"], data.encode())


def _admin(up: Up) -> str:
    return f"Bearer {(up.data_dir / 'admin-token').read_text().strip()}"


def _break_rounds(client: redis.Redis, identity: bytes) -> None:
    """Damage fields that only claimd writes: reading them raises the exceptions that a bug would raise."""
    client.hset("claimd:1:{broken.0}:round:broken", "total", "nonsense")
    client.hset("claimd:1:{twisted.0}:claims:twisted", identity, b"nonsense")
    # The server rejects each lookup of a claim in it, and the library's error may quote the command.
    client.set("claimd:1:{mistyped.0}:claims:mistyped", "a string")


def test_no_secret_and_no_identity_appears_whatever_fails(tmp_path: Path) -> None:
    """Not in any line, in any command line, or in any file but its own; and no file can be read by other users."""
    jwks = write_jwks(tmp_path / "jwks.json", "oct")
    data = tmp_path / "data"
    with (
        locked_server(tmp_path / "external") as server,
        Up(data, "--jwks", str(jwks), CLAIMD_REDIS_URL=server.url).until_ready() as up,
    ):
        for round_id in ROUNDS:
            up.create_round(round_id)
        passes = {up.pass_for(name, PEOPLE[name][0]): name for name in ROUNDS}
        tokens = {token(PEOPLE[name][1]): name for name in ROUNDS}
        with server.client(server.password) as client:
            _break_rounds(client, up.identity_of(PEOPLE["twisted"][0]))
        _send_all_requests(up, passes | tokens)
        _send_invalid_http(up, next(iter(passes)), next(iter(tokens)))
        assert "Traceback" in up.output, "an exception must have been logged"
        assert "WRONGTYPE" in up.output, "the server must have rejected a command"
        assert "HGET" not in up.output, "no command is quoted, as it contains an identity"
        server.kill()
        _send_all_requests(up, passes | tokens)
        assert "has no answer" in up.output, "a batch must have failed"
        server.restart("another-" + server.password)
        _send_all_requests(up, passes | tokens, claiming=False)
        assert "AuthenticationError" in up.output, "the password must have been refused"
        server.restart(server.password)
        eventually(lambda: up.gateway("GET", "/readyz", "")[0] == 200, "the server is back")
        os.kill(up.pid("gateway-0"), signal.SIGKILL)
        eventually(lambda: "gateway-0 is back" in up.output, "the gateway is back")
        arguments = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in _descendants(up.process.pid))
        modes = _modes(data)
        secrets = [(data / name).read_text().strip() for name in ("secret", "admin-token")]
        keys = up._keys()
        people = [person for pair in PEOPLE.values() for person in pair]
        identities = [up.identity_of(person) for person in people]
        assert up.stop() == 0
        visible = up.output.encode() + arguments
        files = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
        own = {data / "secret", data / "admin-token"}
        visible += b"".join(content for path, content in files.items() if path not in own)
    needles: list[str | bytes] = [
        *secrets,
        server.password,
        keys.pass_key,
        keys.identity_key,
        *passes,
        *tokens,
        *people,
        *identities,
    ]
    needles += [part for one in tokens for part in one.split(".")[1:]]
    for needle in needles:
        for spelled in _spellings(needle):
            at = visible.find(spelled)
            assert at < 0, f"{needle!r} appears: {visible[max(0, at - 300) : at + 100]!r}"
    assert not {path: oct(mode) for path, mode in modes.items() if mode & 0o077}


@pytest.mark.parametrize("name", ["CLAIMD_SECRET", "CLAIMD_REDIS_URL", "CLAIMD_ADMIN_TOKEN", "CLAIMD_PORT"])
def test_an_invalid_setting_is_not_quoted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error about a secret does not contain the secret."""
    environment = {"CLAIMD_SECRET": "s" * 32, "CLAIMD_REDIS_URL": "redis://127.0.0.1:1", "CLAIMD_ADMIN_TOKEN": "t"}
    wrong = "hush-hush" if name != "CLAIMD_ADMIN_TOKEN" else "\t \n"
    for variable, value in (environment | {name: wrong}).items():
        monkeypatch.setenv(variable, value)
    done = CliRunner().invoke(app, ["gateway"])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"claimd: {name}: ")
    assert "hush" not in done.output
    assert done.stderr.count("\n") == 1
