"""Servers of the wrong kind are refused by name: a node of a cluster, and a Sentinel, both real ones."""

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
    """A client of a server of that kind and mode; a node of a cluster has all slots, so that it answers."""
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
                    # Asking is what passes the time.
                    client.ping()
            yield client
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def url_of(client: redis.Redis, login: str = "") -> str:
    """Its address."""
    return f"redis://{login}127.0.0.1:{client.connection_pool.connection_kwargs['port']}"


async def refusal(url: str) -> Finding:
    """The one refusal, which does not pass by itself: neither `claimd up` nor a single role starts."""
    report = await examine(url)
    (found,) = (finding for finding in report.findings if finding.level is Level.REFUSAL)
    with pytest.raises(StartError, match=found.says):
        report.refuse(wait=True)
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_a_server_of_the_wrong_kind_is_refused_by_name(kind: Kind, mode: str) -> None:
    """Where a plain address leads to one, nothing starts; there is no talk of replicas, files or memory."""
    with running(kind, mode) as client:
        report = await examine(url_of(client))
        assert [finding.check for finding in report.findings if finding.check != "clock"] == ["server", "role"]
        assert WORDS[mode] in (await refusal(url_of(client))).says


@pytest.mark.parametrize("hidden", [["-info"], ["-info", "-@all"]], ids=["INFO", "everything"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_one_that_hides_what_it_is_is_found_out(kind: Kind, mode: str, hidden: list[str]) -> None:
    """A user who may not ask for INFO learns it from HELLO, which needs no permission."""
    with running(kind, mode) as client:
        client.execute_command("ACL", "SETUSER", "u", "on", "nopass", "~*", "+@all", *hidden)
        assert WORDS[mode] in (await refusal(url_of(client, "u:p@"))).says


class HidesAlmostAll:
    """A managed server that has renamed INFO and HELLO; `in_cluster` is whether CLUSTER INFO answers."""

    def __init__(self, *, in_cluster: bool) -> None:
        self.in_cluster = in_cluster

    async def execute_command(self, command: str = "", *_: str) -> dict[str, str]:
        """CLUSTER INFO, and nothing else."""
        if command != "CLUSTER INFO" or not self.in_cluster:
            raise redis.ResponseError(f"unknown command '{command}'")
        return {"cluster_state": "ok"}

    info = config_get = time = execute_command


@pytest.mark.parametrize(("in_cluster", "mode"), [(True, "cluster"), (False, None)])
async def test_one_that_hides_that_too_is_asked_for_its_cluster(in_cluster: bool, mode: str | None) -> None:
    """What nothing tells stays unknown, and is no reason to refuse."""
    facts = await read_facts(HidesAlmostAll(in_cluster=in_cluster))  # type: ignore[arg-type]
    assert facts.mode == mode
    assert len(list(check_mode(facts))) == in_cluster


def test_a_start_on_a_node_of_a_cluster_says_so_in_a_line(tmp_path: Path) -> None:
    """As a person meets it."""
    with running("valkey", "cluster") as client, Up(tmp_path / "data", "--redis-url", url_of(client)) as up:
        assert up.process.wait(20) == 1
        assert up.output.splitlines()[-1].startswith(
            f"claimd: the server at {url_of(client)} cannot be used: it is a node"
        )


async def test_a_server_of_its_own_is_asked_no_more_than_before(server: Server) -> None:
    """INFO tells: no command that its user may lack, and the server's access log stays empty."""
    with server.client() as client:
        client.acl_log_reset()
        assert (await examine(server.url)).level is Level.OK
        assert client.acl_log() == []
