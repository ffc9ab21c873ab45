"""An append-only file that was cut is rejected, one that ends in a torn write is loaded, and nothing changes before."""

import asyncio
import os
import shutil
import time
from functools import partial
from pathlib import Path

import pytest
import redis

from claimd.embedded.synced_size import SyncedSizeRecord
from claimd.embedded.valkey import EmbeddedValkey
from claimd.errors import StartError
from tests.up.running import Up, eventually
from tests.up.stopped import CLAIMS, ROUND, make_claims, person

COMMIT = b"*1\r\n$4\r\nEXEC\r\n"


def _file(data: Path) -> Path:
    """The only append-only file."""
    (path,) = (data / "appendonlydir").glob("*.incr.aof")
    return path


def _recorded_bytes(data: Path) -> int:
    return int((data / "valkey.written").read_text().split()[1])


def _snapshot(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in (data / "appendonlydir").iterdir()}


def _boundary(data: bytes, near: int) -> int:
    """The end of the last whole transaction before `near`."""
    return data.rindex(COMMIT, 0, near) + len(COMMIT)


def _rejection(data: Path) -> str:
    """The message with which `claimd up` rejects this data directory before it starts Valkey."""
    with pytest.raises(StartError) as rejected:
        asyncio.run(EmbeddedValkey(data, print).prepare())
    return str(rejected.value)


@pytest.fixture
def data_of_a_killed_up(tmp_path: Path) -> Path:
    """A data directory with claims, of which all processes were killed."""
    data = tmp_path / "killed"
    with Up(data).until_ready() as up:
        make_claims(up)
        eventually(lambda: _recorded_bytes(data) == _file(data).stat().st_size, "all bytes are recorded")
        os.kill(up.pid("supervisor"), 9)
        eventually(lambda: up.process.poll() is not None, "its end")
    return data


@pytest.mark.parametrize("fixture", ["data_with_claims", "data_of_a_killed_up"], ids=["stopped", "killed"])
def test_a_cut_file_is_rejected_unchanged(request: pytest.FixtureRequest, fixture: str) -> None:
    """Cut within a write, or at the end of one, which Valkey itself would load without a word."""
    data: Path = request.getfixturevalue(fixture)
    whole = _file(data).read_bytes()
    for size_bytes in (_boundary(whole, len(whole) // 2), len(whole) // 2, len(whole) - 1):
        os.truncate(_file(data), size_bytes)
        before = _snapshot(data)
        message = _rejection(data)
        assert message.startswith(f"{_file(data)} has {size_bytes:,} bytes, but {len(whole):,} were on disk")
        assert "--accept-lost-claims" in message
        assert _snapshot(data) == before
        _file(data).write_bytes(whole)


def test_a_start_on_a_cut_file_ends_with_one_line_and_works_once_it_is_restored(data_with_claims: Path) -> None:
    """The command prints the reason and ends with 1; with the file back every claim is there."""
    data = data_with_claims
    whole = _file(data).read_bytes()
    os.truncate(_file(data), len(whole) // 2)
    with Up(data) as up:
        assert up.process.wait(30) == 1, up.output
        assert "Traceback" not in up.output
        assert up.output.splitlines()[-1].startswith(f"claimd: {_file(data)} has {len(whole) // 2:,} bytes, but ")
    _file(data).write_bytes(whole)
    with Up(data).until_ready() as up:
        assert "WARNING   the append-only file" not in up.output
        assert up.claim(ROUND, person(CLAIMS - 1))[0] == 200


def test_lost_claims_can_be_given_up(data_with_claims: Path) -> None:
    """With a flag, once; what Valkey logs on the part that it drops is repeated."""
    data = data_with_claims
    whole = _file(data).read_bytes()
    os.truncate(_file(data), _boundary(whole, len(whole) // 2) + 10)
    with Up(data, "--accept-lost-claims").until_ready() as up:
        assert "claims that were acknowledged are lost, and given up" in up.output
        assert "WARNING   the append-only file ended in a write that was torn" in up.output
        assert "Truncating the AOF" in up.output
        assert up.claim(ROUND, person(0))[0] == 200
        assert up.claim(ROUND, person(CLAIMS - 1))[0] == 201
        assert up.stop() == 0
    with Up(data).until_ready() as up:
        assert "WARNING   the append-only file" not in up.output


@pytest.mark.parametrize("lost", ["appendonly.aof.1.incr.aof", "appendonly.aof.manifest", ""])
def test_a_missing_file_is_rejected(data_with_claims: Path, lost: str) -> None:
    """Without its file, its manifest or their directory Valkey would begin an empty one."""
    path = data_with_claims / "appendonlydir" / lost
    if lost:
        path.unlink()
    else:
        shutil.rmtree(path)
    assert " has 0 bytes, but " in _rejection(data_with_claims)


def test_a_torn_last_write_is_dropped_with_a_warning(data_with_claims: Path) -> None:
    """A power failure leaves half of a batch that was never acknowledged; all acknowledged claims stay."""
    data = data_with_claims
    whole = _file(data).read_bytes()
    last = whole[_boundary(whole, len(whole) - 1) :]
    with _file(data).open("ab") as file:
        file.write(last[: len(last) // 2])
    with Up(data).until_ready() as up:
        assert "valkey dropped it: " in up.output
        assert f"at offset {len(whole)} !!!" in up.output
        assert [up.claim(ROUND, person(number))[0] for number in range(CLAIMS)] == [200] * CLAIMS
        assert up.stop() == 0
    with Up(data).until_ready() as up:
        assert "WARNING   the append-only file" not in up.output


def test_a_rewrite_begins_another_file(data_with_claims: Path) -> None:
    """The new file is shorter, which is no loss; the record has its number."""
    data = data_with_claims
    with Up(data).until_ready() as up:
        with redis.Redis.from_url(up.process_file()["valkey"]["url"]) as server:
            before = _file(data)
            server.bgrewriteaof()
            eventually(partial(_is_rewritten, server, before), "the rewrite")
        assert up.stop() == 0
    assert _file(data).name == "appendonly.aof.2.incr.aof"
    assert (data / "valkey.written").read_text().startswith(f"{2:020} ")
    with Up(data).until_ready() as up:
        assert up.claim(ROUND, person(0))[0] == 200
        os.kill(up.pid("supervisor"), 9)
    _file(data).write_bytes(b"")
    (data / "valkey.written").write_text(f"{2:020} {100:020}\n")
    assert " has 0 bytes, but 100 were" in _rejection(data)


def _is_rewritten(server: redis.Redis, before: Path) -> bool:
    return not before.exists() and not server.info("persistence")["aof_rewrite_in_progress"]


class Folder:
    """A data directory with a manifest and one append-only file, without a server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.printed: list[str] = []
        self.record = SyncedSizeRecord(path, self.printed.append)
        (path / "appendonlydir").mkdir()
        self.file(3, 1000)

    def file(self, number: int, size_bytes: int) -> None:
        """Make the newest file one of that number and size."""
        folder = self.path / "appendonlydir"
        (folder / f"appendonly.aof.{number}.incr.aof").touch()
        os.truncate(folder / f"appendonly.aof.{number}.incr.aof", size_bytes)
        (folder / "appendonly.aof.manifest").write_text(
            f"file appendonly.aof.{number}.base.rdb seq {number} type b\n"
            f"file appendonly.aof.{number}.incr.aof seq {number} type i\n"
        )

    def recorded(self) -> str:
        """The text of the record."""
        return (self.path / "valkey.written").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A data directory that no test has used."""
    return Folder(tmp_path)


async def _pong() -> None:
    pass


async def test_bytes_written_after_the_ping_are_not_recorded(folder: Folder) -> None:
    """Only bytes that were there before the PING are certainly on disk at its reply."""

    async def ping() -> None:
        folder.file(3, 2000)

    await folder.record.update(ping)
    assert folder.recorded() == f"{3:020} {1000:020}\n"
    await folder.record.update(_pong)
    assert folder.recorded() == f"{3:020} {2000:020}\n"


@pytest.mark.parametrize("error", [redis.ConnectionError, redis.TimeoutError, OSError])
async def test_nothing_is_recorded_without_a_reply(folder: Folder, error: type[Exception]) -> None:
    """A server that hangs may have written without syncing."""

    async def ping() -> None:
        raise error

    await folder.record.update(ping)
    assert not (folder.path / "valkey.written").exists()


@pytest.mark.parametrize(
    ("number", "size_bytes", "good"),
    [(3, 1000, True), (3, 1001, True), (4, 0, True), (3, 999, False), (3, 0, False), (2, 5000, False)],
)
async def test_fewer_bytes_than_recorded_are_rejected(folder: Folder, number: int, size_bytes: int, good: bool) -> None:
    """More bytes, and a newer file, are accepted."""
    await folder.record.update(_pong)
    folder.file(number, size_bytes)
    if good:
        folder.record.check(accept_lost_claims=False)
    else:
        with pytest.raises(StartError, match="claims that were acknowledged are lost; nothing was changed"):
            folder.record.check(accept_lost_claims=False)
        folder.record.check(accept_lost_claims=True)
        assert "given up" in folder.printed[-1]


async def test_the_check_of_a_large_file_takes_no_time(folder: Folder) -> None:
    """The file is not read."""
    folder.file(3, 1 << 40)
    await folder.record.update(_pong)
    began = time.process_time()
    folder.record.check(accept_lost_claims=False)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("text", ["", "x", f"{3:020} {1000:020}", "٣" * 20 + " " + "1" * 20 + "\n"])
def test_a_damaged_record_is_a_warning(folder: Folder, text: str) -> None:
    """The start continues, as the append-only file itself may be whole."""
    (folder.path / "valkey.written").write_text(text)
    folder.record.check(accept_lost_claims=False)
    assert "is damaged" in folder.printed[-1]


def test_a_directory_without_a_record_is_accepted(folder: Folder) -> None:
    """A directory of an earlier version has none."""
    folder.record.check(accept_lost_claims=False)
    assert not folder.printed


async def test_a_record_that_cannot_be_written_is_reported_once(folder: Folder) -> None:
    """Further updates are tried without another line."""
    (folder.path / "valkey.written").mkdir()
    for size_bytes in (1, 2, 3):
        folder.file(3, size_bytes)
        await folder.record.update(_pong)
    (line,) = folder.printed
    assert "may go unnoticed" in line
