"""One server, one secret: whatever would make strangers of those who hold a claim is refused by name at the start."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claimd.identity.keys import Keys
from claimd.store.errors import StoreUnavailable
from claimd.store.installation import Installation, InstallationDiffers
from claimd.store.redis import keys
from claimd.store.redis.store import RedisStore
from tests.rounds import definition, identities
from tests.servers import Server
from tests.up.running import Up, clean_environment

SECRET = "the secret that was here first, of more than 32 bytes"
OTHER = "another secret, as good as the first, of 32 bytes and more"
FINGERPRINT = Keys.derive(SECRET.encode()).fingerprint


def claimd(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; one that is not refused would run on, and is a failure."""
    command = [sys.executable, "-m", "claimd", *words]
    return subprocess.run(
        command, env=clean_environment() | environment, capture_output=True, text=True, timeout=30, check=False
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """What a refused start said: the sentence that ended it, which names the setting and the way out."""
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2), said
    assert "Traceback" not in said
    assert "could claim again" in said
    return said


@pytest.fixture
def used(server: Server) -> Iterator[Server]:
    """A server on which claims were made under SECRET."""
    with server.client() as client:
        client.hset(keys.INSTALLATION, mapping=Installation(FINGERPRINT).fields())
        client.sadd(keys.ROUNDS, "r1")
    return server


def test_a_second_up_on_the_servers_socket_is_refused(tmp_path: Path) -> None:
    """With a new data directory it has no secret for that server, and makes none; with the right secret it serves."""
    with Up(tmp_path / "a").until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[1]["claim"]["serial"] == 1
        url = f"unix://{tmp_path}/a/valkey.sock"
        second = ("--data-dir", str(tmp_path / "b"), "--redis-url", url, "--port", "0", "--console-port", "0")
        said = refused(claimd("up", *second))
        assert "CLAIMD_SECRET" in said
        assert not (tmp_path / "b" / "secret").exists()
        assert "another" in refused(claimd("up", *second, CLAIMD_SECRET=OTHER))
        secret = (tmp_path / "a" / "secret").read_text()
        with Up(tmp_path / "b", "--redis-url", url, CLAIMD_SECRET=secret).until_ready() as other:
            other.data_dir.joinpath("secret").write_text(secret)
            assert other.claim("r", "ann")[1]["claim"]["serial"] == 1
            assert other.claim("r", "ann")[0] == 200


def test_a_data_directory_that_lost_its_secret_is_refused(tmp_path: Path) -> None:
    """Gone, or replaced: nothing is started, and nothing is written; with the secret back, everything is there."""
    data = tmp_path / "a"
    with Up(data).until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        assert up.stop() == 0
    kept = (data / "secret").read_text()
    flags = ("up", "--data-dir", str(data), "--port", "0", "--console-port", "0")
    (data / "secret").unlink()
    assert str(data / "secret") in refused(claimd(*flags))
    assert not (data / "secret").exists()
    # Whoever made a new one by hand is told by the fingerprint.
    (data / "secret").write_text(OTHER)
    assert Keys.derive(kept.strip().encode()).fingerprint in refused(claimd(*flags))
    (data / "secret").write_text(kept)
    assert str(data / "secret") in refused(claimd(*flags, CLAIMD_SECRET=OTHER))
    (data / "secret").unlink()
    with Up(data, CLAIMD_SECRET=f"{kept}\n").until_ready() as up:
        (data / "secret").write_text(kept)
        assert up.claim("r", "ann")[0] == 200


def test_a_start_that_dies_before_its_first_claim_can_be_started_again(tmp_path: Path) -> None:
    """The secret is made before the server keeps anything, so that a first start may be killed at any moment."""
    with Up(tmp_path / "a") as up:
        while not (tmp_path / "a" / "appendonlydir").exists():
            assert up.process.poll() is None, up.output
        up.process.kill()
        up.process.wait()
    with Up(tmp_path / "a").until_ready() as up:
        assert up.stop() == 0


@pytest.mark.parametrize("role", ["gateway", "console"])
def test_a_role_with_another_secret_is_refused(used: Server, role: str) -> None:
    """The gateway always; the console where it was given one. Both fingerprints are named, and no secret."""
    flag = "--port" if role == "gateway" else "--console-port"
    environment = {"CLAIMD_REDIS_URL": used.url, "CLAIMD_ADMIN_TOKEN": "x" * 40, "CLAIMD_SECRET": OTHER}
    said = refused(claimd(role, flag, "0", **environment))
    assert FINGERPRINT in said
    assert Keys.derive(OTHER.encode()).fingerprint in said
    assert SECRET not in said
    assert OTHER not in said


def test_several_gateways_with_another_secret_are_refused(used: Server) -> None:
    """Before any worker is started."""
    said = refused(claimd("gateway", "--port", "0", "--workers", "2", CLAIMD_REDIS_URL=used.url, CLAIMD_SECRET=OTHER))
    assert "gateway-0" not in said


def test_doctor_compares_the_secret(used: Server) -> None:
    """The right one is fine, another one a refusal by name, none a warning that says which one it would be."""
    address = ("doctor", "--redis-url", used.url)
    right = claimd(*address, CLAIMD_SECRET=f"{SECRET}\n")
    assert right.returncode == 0
    assert FINGERPRINT in right.stdout
    wrong = claimd(*address, CLAIMD_SECRET=OTHER)
    assert wrong.returncode == 1
    assert "refusal  secret" in wrong.stdout
    none = claimd(*address)
    assert none.returncode == 0
    assert "warning  secret" in none.stdout
    with used.client() as client:
        assert client.hgetall(keys.INSTALLATION)[b"fingerprint"].decode() == FINGERPRINT


def test_a_server_of_the_first_version_takes_no_new_secret(server: Server, tmp_path: Path) -> None:
    """It has rounds and no fingerprint: a data directory without a secret makes none for it."""
    with server.client() as client:
        client.sadd(keys.ROUNDS, "r1")
    said = refused(claimd("up", "--data-dir", str(tmp_path / "a"), "--redis-url", server.url, "--port", "0"))
    assert "fingerprint unknown" in said


@pytest.fixture
async def stores(server: Server) -> Any:
    """Makes stores that close with the test."""
    made: list[RedisStore] = []

    def make(secret: str, claim: str = "sub") -> RedisStore:
        made.append(
            RedisStore.connect(server.url, installation=Installation(Keys.derive(secret.encode()).fingerprint, claim))
        )
        return made[-1]

    yield make
    for store in made:
        await store.close()


@pytest.mark.parametrize("other", [(OTHER, "sub"), (SECRET, "oid")])
async def test_a_gateway_that_finds_the_server_late_decides_nothing_under_another_secret(
    stores: Any, other: tuple[str, str]
) -> None:
    """A server that was away at the start is held against it with the first call of every kind."""
    first, second = stores(SECRET), stores(*other)
    await first.rounds.round_create(definition(total=9), "")
    assert (await first.claims.claim("r1", identities(1)))[0].serial == 1
    for ask in (
        lambda: second.claims.claim("r1", identities(2)),
        lambda: second.claims.find_claim("r1", identities(1)[0]),
        lambda: second.rounds.round("r1"),
        second.readiness.ping,
    ):
        with pytest.raises(InstallationDiffers, match="could claim again"):
            await ask()
    assert (await first.rounds.round("r1")).round.issued == 1
    assert issubclass(InstallationDiffers, StoreUnavailable)


async def test_of_two_who_start_at_once_one_is_first(stores: Any) -> None:
    """Whichever it is, the other one is refused, and stays so."""
    one, other = stores(SECRET), stores(OTHER)
    results = await asyncio.gather(one.installation.agree(), other.installation.agree(), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["InstallationDiffers", "NoneType"]
    winner, loser = (one, other) if results[0] is None else (other, one)
    await winner.installation.agree()
    with pytest.raises(InstallationDiffers):
        await loser.installation.agree()


@pytest.mark.parametrize("own", [True, False], ids=["own server", "embedded"])
def test_a_damaged_secret_is_said_in_a_line(server: Server, tmp_path: Path, own: bool) -> None:
    """Half a file is no secret, whichever server it is for; nothing is made in its place."""
    data = tmp_path / "a"
    data.mkdir(mode=0o700)
    (data / "lock").touch()
    (data / "secret").write_text("half")
    done = claimd("up", "--data-dir", str(data), "--port", "0", *(["--redis-url", server.url] if own else []))
    assert done.returncode == 1
    assert f"{data / 'secret'} is damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert (data / "secret").read_text() == "half"
