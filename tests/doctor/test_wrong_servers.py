"""Servers of the wrong kind are rejected by name: a node of a cluster and a Sentinel, both real ones."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from claimd.doctor.examine import examine
from claimd.doctor.facts import read_facts
from claimd.doctor.findings import Finding, Level
from claimd.doctor.role import check_mode
from claimd.errors import StartError
from tests.servers import Kind, Server, binary, free_port
from tests.up.running import Up

MODES = ["cluster", "sentinel"]
WORDS = {"cluster": "it is a node of a cluster", "sentinel": "it is a Sentinel"}


@contextmanager
def running(kind: Kind, mode: str) -> Iterator[redis.Redis]:
    """Run a server of that kind and mode, and yield a client. A cluster node gets all slots, so that it answers."""
    program = binary(kind)
    if program is None:
        pytest.skip("no redis-server is installed")
    folder, port = Path(tempfile.mkdtemp(prefix="claimd-test-")), free_port()
    configuration = folder / "server.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nlogfile {folder / 'log'}\n"
        + (f"cluster-enabled yes\ncluster-port {free_port()}\n" if mode == "cluster" else "")
    )
    process = subprocess.Popen([program, configuration, *(["--sentinel"] if mode == "sentinel" else [])])
    retry = Retry(ConstantBackoff(0.02), 500)
    try:
        with redis.Redis(port=port, retry=retry, retry_on_error=[redis.RedisError], protocol=2) as client:
            client.ping()
            if mode == "cluster":
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
                while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                    # The PING also makes this loop wait.
                    client.ping()
            yield client
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def url_of(client: redis.Redis, login: str = "") -> str:
    """The address of a client's server."""
    return f"redis://{login}127.0.0.1:{client.connection_pool.connection_kwargs['port']}"


async def blocker_of(url: str) -> Finding:
    """The only blocker, which may not pass: neither `claimd up` nor a single role starts."""
    report = await examine(url)
    (found,) = (finding for finding in report.findings if finding.level is Level.BLOCKER)
    with pytest.raises(StartError, match=found.message):
        report.raise_for_blockers(wait=True)
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_a_server_of_the_wrong_kind_is_rejected_by_name(kind: Kind, mode: str) -> None:
    """Nothing starts, and there are no findings on its replicas, files or memory."""
    with running(kind, mode) as client:
        report = await examine(url_of(client))
        assert [finding.check for finding in report.findings if finding.check != "clock"] == ["server", "role"]
        assert WORDS[mode] in (await blocker_of(url_of(client))).message


@pytest.mark.parametrize("hidden", [["-info"], ["-info", "-@all"]], ids=["INFO", "everything"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_a_mode_that_info_does_not_reveal_is_read_from_hello(kind: Kind, mode: str, hidden: list[str]) -> None:
    """HELLO needs no permission, so that it works for a user without INFO."""
    with running(kind, mode) as client:
        client.execute_command("ACL", "SETUSER", "u", "on", "nopass", "~*", "+@all", *hidden)  # type: ignore[no-untyped-call]
        assert WORDS[mode] in (await blocker_of(url_of(client, "u:p@"))).message


class WithoutInfoAndHello:
    """A managed server that has renamed INFO and HELLO; `in_cluster` is whether CLUSTER INFO answers."""

    def __init__(self, *, in_cluster: bool) -> None:
        self.in_cluster = in_cluster

    async def execute_command(self, command: str = "", *_: str) -> dict[str, str]:
        """Reply to CLUSTER INFO and reject every other command."""
        if command != "CLUSTER INFO" or not self.in_cluster:
            raise redis.ResponseError(f"unknown command '{command}'")
        return {"cluster_state": "ok"}

    info = config_get = time = execute_command


@pytest.mark.parametrize(("in_cluster", "mode"), [(True, "cluster"), (False, None)])
async def test_a_mode_that_hello_hides_is_read_from_cluster_info(in_cluster: bool, mode: str | None) -> None:
    """A mode that no command reveals is unknown, and no reason to reject the server."""
    facts = await read_facts(WithoutInfoAndHello(in_cluster=in_cluster))  # type: ignore[arg-type]
    assert facts.mode == mode
    assert len(list(check_mode(facts))) == in_cluster


def test_a_start_on_a_node_of_a_cluster_fails_with_one_line(tmp_path: Path) -> None:
    """`claimd up` ends with the reason as its last line."""
    with running("valkey", "cluster") as client, Up(tmp_path / "data", "--redis-url", url_of(client)) as up:
        assert up.process.wait(20) == 1
        assert up.output.splitlines()[-1].startswith(
            f"claimd: the server at {url_of(client)} cannot be used: it is a node"
        )


async def test_a_primary_gets_no_command_that_its_user_may_lack(server: Server) -> None:
    """INFO reveals the mode, so that no other command is tried, and the server's ACL log stays empty."""
    with server.client() as client:
        client.acl_log_reset()
        assert (await examine(server.url)).level is Level.OK
        assert client.acl_log() == []
