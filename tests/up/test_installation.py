"""One server, one secret: a start that would let holders of a claim claim again fails, and names the setting."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from claimd.cli.app import app
from claimd.identity.keys import Keys
from claimd.store.errors import StoreUnavailable
from claimd.store.installation import Installation, InstallationDiffers
from claimd.store.redis import keys
from claimd.store.redis.store import RedisStore
from tests.patience import patient_store
from tests.rounds import definition, identities
from tests.servers import Server
from tests.up.running import Up
from tests.up.stopped import ROUND, person

SECRET = "the secret that was here first, of more than 32 bytes"
OTHER = "another secret, as good as the first, of 32 bytes and more"
FINGERPRINT = Keys.derive(SECRET.encode()).fingerprint
FREE_PORTS = {"CLAIMD_PORT": "0", "CLAIMD_CONSOLE_PORT": "0"}

Connect = Callable[..., RedisStore]


def claimd(*words: str, **environment: str) -> Result:
    """Run a command to its end, in this process; a start that succeeds would serve until the test times out.

    Its ports are free ones: on the usual ones, two tests at the same time would meet.
    """
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    unset = dict.fromkeys((name for name in os.environ if name.startswith("CLAIMD_")), None)
    try:
        return CliRunner().invoke(app, words, env={**unset, **FREE_PORTS, **environment})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, open_files)


def rejected(done: Result) -> str:
    """The output of a start that failed on purpose: its last sentence names the reason and what to do."""
    assert done.exit_code in (1, 2), done.output
    assert isinstance(done.exception, SystemExit), done.exc_info
    assert "could claim again" in done.output
    return done.output


@pytest.fixture
def used(server: Server) -> Server:
    """A server whose claims were made with SECRET."""
    with server.client() as client:
        client.hset(keys.INSTALLATION, mapping=Installation(FINGERPRINT).fields())
        client.sadd(keys.ROUNDS, "r1")
    return server


def test_a_second_up_on_the_servers_socket_is_rejected(running_up: Up, tmp_path: Path) -> None:
    """With a new data directory it has no secret for that server and generates none; with the right one it serves."""
    running_up.create_round("shared")
    assert running_up.claim("shared", "ann")[1]["claim"]["serial"] == 1
    url = running_up.process_file()["valkey"]["url"]
    second = ("--data-dir", str(tmp_path / "b"), "--redis-url", url)
    assert "CLAIMD_SECRET" in rejected(claimd("up", *second))
    assert not (tmp_path / "b" / "secret").exists()
    assert "another" in rejected(claimd("up", *second, CLAIMD_SECRET=OTHER))
    secret = (running_up.data_dir / "secret").read_text()
    with Up(tmp_path / "b", "--redis-url", url, CLAIMD_SECRET=secret).until_ready() as other:
        (other.data_dir / "secret").write_text(secret)
        assert other.claim("shared", "ann")[1]["claim"]["serial"] == 1
        assert other.claim("shared", "ann")[0] == 200


def test_a_data_directory_that_lost_its_secret_is_rejected(data_with_claims: Path) -> None:
    """With the file missing or replaced nothing starts, and nothing is written; with the secret back, it serves."""
    data = data_with_claims
    kept = (data / "secret").read_text()
    flags = ("up", "--data-dir", str(data), "--port", "0", "--console-port", "0")
    (data / "secret").unlink()
    assert str(data / "secret") in rejected(claimd(*flags))
    assert not (data / "secret").exists()
    # A new one that was made by hand is recognised by its fingerprint.
    (data / "secret").write_text(OTHER)
    assert Keys.derive(kept.strip().encode()).fingerprint in rejected(claimd(*flags))
    (data / "secret").write_text(kept)
    assert str(data / "secret") in rejected(claimd(*flags, CLAIMD_SECRET=OTHER))
    (data / "secret").unlink()
    with Up(data, CLAIMD_SECRET=f"{kept}\n").until_ready() as up:
        (data / "secret").write_text(kept)
        assert up.claim(ROUND, person(0))[0] == 200


def test_a_first_start_that_was_killed_can_be_repeated(tmp_path: Path) -> None:
    """The secret is generated before the server has any data, so that a first start may be killed at any moment."""
    with Up(tmp_path / "a") as up:
        while not (tmp_path / "a" / "appendonlydir").exists():
            assert up.process.poll() is None, up.output
        up.process.kill()
        up.process.wait()
    with Up(tmp_path / "a").until_ready() as up:
        assert up.stop() == 0


@pytest.mark.parametrize("role", ["gateway", "console"])
def test_a_role_with_another_secret_is_rejected(used: Server, role: str) -> None:
    """A gateway in any case, a console if it has a secret. The message has both fingerprints and no secret."""
    flag = "--port" if role == "gateway" else "--console-port"
    environment = {"CLAIMD_REDIS_URL": used.url, "CLAIMD_ADMIN_TOKEN": "x" * 40, "CLAIMD_SECRET": OTHER}
    output = rejected(claimd(role, flag, "0", **environment))
    assert FINGERPRINT in output
    assert Keys.derive(OTHER.encode()).fingerprint in output
    assert SECRET not in output
    assert OTHER not in output


def test_several_gateways_with_another_secret_are_rejected(used: Server) -> None:
    """Before any worker is started."""
    output = rejected(
        claimd("gateway", "--port", "0", "--workers", "2", CLAIMD_REDIS_URL=used.url, CLAIMD_SECRET=OTHER)
    )
    assert "gateway-0" not in output


def test_doctor_compares_the_secret(used: Server) -> None:
    """The right one is fine, another one a blocker; without any there is a warning with the server's fingerprint."""
    address = ("doctor", "--redis-url", used.url)
    right = claimd(*address, CLAIMD_SECRET=f"{SECRET}\n")
    assert right.exit_code == 0
    assert FINGERPRINT in right.stdout
    wrong = claimd(*address, CLAIMD_SECRET=OTHER)
    assert wrong.exit_code == 1
    assert "refusal  secret" in wrong.stdout
    none = claimd(*address)
    assert none.exit_code == 0
    assert "warning  secret" in none.stdout
    with used.client() as client:
        assert client.hgetall(keys.INSTALLATION)[b"fingerprint"].decode() == FINGERPRINT


def test_no_secret_is_generated_for_a_server_of_the_first_version(server: Server, tmp_path: Path) -> None:
    """It has rounds and no fingerprint: a `claimd up` without a secret does not start on it."""
    with server.client() as client:
        client.sadd(keys.ROUNDS, "r1")
    output = rejected(claimd("up", "--data-dir", str(tmp_path / "a"), "--redis-url", server.url))
    assert "fingerprint unknown" in output


@pytest.fixture
async def connect(server: Server) -> AsyncIterator[Connect]:
    """Connects stores with a secret and an identity claim; they are closed after the test."""
    made: list[RedisStore] = []

    def connect_with(secret: str, claim: str = "sub") -> RedisStore:
        made.append(
            patient_store(server.url, installation=Installation(Keys.derive(secret.encode()).fingerprint, claim))
        )
        return made[-1]

    yield connect_with
    for store in made:
        await store.close()


@pytest.mark.parametrize("other", [(OTHER, "sub"), (SECRET, "oid")])
async def test_a_gateway_that_reaches_the_server_late_decides_nothing_under_another_secret(
    connect: Connect, other: tuple[str, str]
) -> None:
    """A server that was down at the start is compared at the first call, of whatever kind."""
    first, second = connect(SECRET), connect(*other)
    await first.rounds.round_create(definition(total=9), "")
    assert (await first.claims.claim("r1", identities(1)))[0].serial == 1
    calls: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: second.claims.claim("r1", identities(2)),
        lambda: second.claims.find_claims("r1", identities(1)),
        lambda: second.rounds.round("r1"),
        second.readiness.ping,
    )
    for call in calls:
        with pytest.raises(InstallationDiffers, match="could claim again"):
            await call()
    found = (await first.rounds.round("r1")).round
    assert found is not None
    assert found.issued == 1
    assert issubclass(InstallationDiffers, StoreUnavailable)


async def test_of_two_secrets_at_the_same_time_one_wins(connect: Connect) -> None:
    """The store with the other one is rejected from then on."""
    one, other = connect(SECRET), connect(OTHER)
    results = await asyncio.gather(one.installation.agree(), other.installation.agree(), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["InstallationDiffers", "NoneType"]
    winner, loser = (one, other) if results[0] is None else (other, one)
    await winner.installation.agree()
    with pytest.raises(InstallationDiffers):
        await loser.installation.agree()


@pytest.mark.parametrize("external", [True, False], ids=["external server", "embedded"])
def test_a_damaged_secret_is_named_in_one_line(server: Server, tmp_path: Path, external: bool) -> None:
    """Half a file is no secret, whichever server it is for, and it is not replaced."""
    data = tmp_path / "a"
    data.mkdir(mode=0o700)
    (data / "lock").touch()
    (data / "secret").write_text("half")
    done = claimd("up", "--data-dir", str(data), *(["--redis-url", server.url] if external else []))
    assert done.exit_code == 1
    assert f"{data / 'secret'} is damaged" in done.stderr
    assert isinstance(done.exception, SystemExit), done.exc_info
    assert (data / "secret").read_text() == "half"
