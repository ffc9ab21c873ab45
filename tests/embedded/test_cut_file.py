"""An append-only file that was cut is refused, one that ends in a torn write is not, and nothing is changed before."""

import os
import shutil
import time
from pathlib import Path

import pytest
import redis

from claimd.embedded.synced_size import WrittenNote
from claimd.errors import StartError
from tests.up.running import Up, eventually

CLAIMS = 40


def _file(data: Path) -> Path:
    (path,) = (data / "appendonlydir").glob("*.incr.aof")
    return path


def _noted(data: Path) -> int:
    return int((data / "valkey.written").read_text().split()[1])


def _with_claims(data: Path, *, orderly: bool = True) -> None:
    """Leave a directory with claims in it: after a stop, or after everything was killed."""
    with Up(data).until_ready() as up:
        up.create_round("r")
        for person in range(CLAIMS):
            assert up.claim("r", f"{person}")[0] == 201
        if orderly:
            assert up.stop() == 0
        else:
            eventually(lambda: _noted(data) == _file(data).stat().st_size, "a note of all that is written")
            os.kill(up.pid("supervisor"), 9)
            eventually(lambda: up.process.poll() is not None, "its end")


def _snapshot(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in (data / "appendonlydir").iterdir()}


def _boundary(data: bytes, near: int) -> int:
    """Where the last whole transaction before `near` ends."""
    return data.rindex(b"*1\r\n$4\r\nEXEC\r\n", 0, near) + len(b"*1\r\n$4\r\nEXEC\r\n")


def _last_line(data: Path, *flags: str) -> str:
    with Up(data, *flags) as up:
        assert up.process.wait(30) == 1, up.output
        assert "Traceback" not in up.output
        return up.output.splitlines()[-1]


@pytest.mark.parametrize("orderly", [True, False], ids=["stopped", "killed"])
def test_a_file_that_was_cut_is_refused_untouched(tmp_path: Path, orderly: bool) -> None:
    """In the middle of a write, or just behind one, where Valkey would say nothing at all; the way out is an order."""
    data = tmp_path / "data"
    _with_claims(data, orderly=orderly)
    whole = _file(data).read_bytes()
    for size in (_boundary(whole, len(whole) // 2), len(whole) - 1) if orderly else (len(whole) // 2,):
        os.truncate(_file(data), size)
        before = _snapshot(data)
        said = _last_line(data)
        assert said.startswith(f"claimd: {_file(data)} has {size:,} bytes, but {len(whole):,} were on disk")
        assert "--accept-lost-claims" in said
        assert _snapshot(data) == before
        _file(data).write_bytes(whole)
    with Up(data).until_ready() as up:
        assert "WARNING   the append-only file" not in up.output
        assert up.claim("r", f"{CLAIMS - 1}")[0] == 200
        assert up.stop() == 0


def test_lost_claims_can_be_given_up(tmp_path: Path) -> None:
    """With a flag, once; Valkey's own words on what it drops are repeated."""
    data = tmp_path / "data"
    _with_claims(data)
    whole = _file(data).read_bytes()
    os.truncate(_file(data), _boundary(whole, len(whole) // 2) + 10)
    with Up(data, "--accept-lost-claims").until_ready() as up:
        assert "claims that were acknowledged are lost, and given up" in up.output
        assert "WARNING   the append-only file ended in a write that was torn" in up.output
        assert "Truncating the AOF" in up.output
        assert up.claim("r", "0")[0] == 200
        assert up.claim("r", f"{CLAIMS - 1}")[0] == 201
        assert up.stop() == 0
    with Up(data).until_ready() as up:
        assert "WARNING   the append-only file" not in up.output


@pytest.mark.parametrize("lost", ["the file", "the manifest", "all of it"])
def test_a_file_that_is_gone_is_refused(tmp_path: Path, lost: str) -> None:
    """Valkey would begin an empty one."""
    data = tmp_path / "data"
    _with_claims(data)
    if lost == "the file":
        _file(data).unlink()
    elif lost == "the manifest":
        (data / "appendonlydir" / "appendonly.aof.manifest").unlink()
    else:
        shutil.rmtree(data / "appendonlydir")
    assert " has 0 bytes, but " in _last_line(data)


def test_a_torn_last_write_is_dropped_and_said(tmp_path: Path) -> None:
    """What a power failure leaves: half a batch that was acknowledged to nobody. All that was stays."""
    data = tmp_path / "data"
    _with_claims(data)
    whole = _file(data).read_bytes()
    last = whole[_boundary(whole, len(whole) - 1) :]
    with _file(data).open("ab") as file:
        file.write(last[: len(last) // 2])
    with Up(data).until_ready() as up:
        assert "valkey dropped it: " in up.output
        assert f"at offset {len(whole)} !!!" in up.output
        assert [up.claim("r", f"{person}")[0] for person in range(CLAIMS)] == [200] * CLAIMS
        assert up.stop() == 0
    with Up(data).until_ready() as up:
        assert "WARNING   the append-only file" not in up.output


def test_a_rewrite_begins_another_file(tmp_path: Path) -> None:
    """The new one is shorter, and nothing is lost."""
    data = tmp_path / "data"
    with Up(data).until_ready() as up:
        up.create_round("r")
        for person in range(CLAIMS):
            assert up.claim("r", f"{person}")[0] == 201
        with redis.Redis.from_url(up.record()["valkey"]["url"]) as server:
            before = _file(data)
            server.bgrewriteaof()
            eventually(lambda: not before.exists() and not server.info("persistence")["aof_rewrite_in_progress"], "it")  # type: ignore[index]
        assert up.stop() == 0
    assert _file(data).name == "appendonly.aof.2.incr.aof"
    assert (data / "valkey.written").read_text().startswith(f"{2:020} ")
    with Up(data).until_ready() as up:
        assert up.claim("r", "0")[0] == 200
        os.kill(up.pid("supervisor"), 9)
    os.truncate(_file(data), 0)
    _file(data).write_bytes(b"")
    (data / "valkey.written").write_text(f"{2:020} {100:020}\n")
    assert " has 0 bytes, but 100 were" in _last_line(data)


class Folder:
    """A data directory with a manifest and one file, without a server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self.note = WrittenNote(path, self.said.append)
        (path / "appendonlydir").mkdir()
        self.file(3, 1000)

    def file(self, number: int, size_bytes: int) -> None:
        """Make the newest file of that number and size."""
        folder = self.path / "appendonlydir"
        (folder / f"appendonly.aof.{number}.incr.aof").touch()
        os.truncate(folder / f"appendonly.aof.{number}.incr.aof", size_bytes)
        (folder / "appendonly.aof.manifest").write_text(
            f"file appendonly.aof.{number}.base.rdb seq {number} type b\n"
            f"file appendonly.aof.{number}.incr.aof seq {number} type i\n"
        )

    def noted(self) -> str:
        """What the note says."""
        return (self.path / "valkey.written").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A fresh one."""
    return Folder(tmp_path)


async def _pong() -> None:
    pass


async def test_what_is_written_after_the_question_is_not_noted(folder: Folder) -> None:
    """Only what was there before is certain to be on disk by the answer."""

    async def ping() -> None:
        folder.file(3, 2000)

    await folder.note.note(ping)
    assert folder.noted() == f"{3:020} {1000:020}\n"
    await folder.note.note(_pong)
    assert folder.noted() == f"{3:020} {2000:020}\n"


@pytest.mark.parametrize("error", [redis.ConnectionError, redis.TimeoutError, OSError])
async def test_nothing_is_noted_without_an_answer(folder: Folder, error: type[Exception]) -> None:
    """A server that hangs may have written without syncing."""

    async def ping() -> None:
        raise error

    await folder.note.note(ping)
    assert not (folder.path / "valkey.written").exists()


@pytest.mark.parametrize(
    ("number", "size_bytes", "good"),
    [(3, 1000, True), (3, 1001, True), (4, 0, True), (3, 999, False), (3, 0, False), (2, 5000, False)],
)
async def test_fewer_bytes_than_noted_are_refused(folder: Folder, number: int, size_bytes: int, good: bool) -> None:
    """More, and a newer file, are fine."""
    await folder.note.note(_pong)
    folder.file(number, size_bytes)
    if good:
        folder.note.check(accept_lost_claims=False)
    else:
        with pytest.raises(StartError, match="claims that were acknowledged are lost; nothing was changed"):
            folder.note.check(accept_lost_claims=False)
        folder.note.check(accept_lost_claims=True)
        assert "given up" in folder.said[-1]


async def test_a_large_file_is_looked_at_in_no_time(folder: Folder) -> None:
    """It is not read."""
    folder.file(3, 1 << 40)
    await folder.note.note(_pong)
    began = time.process_time()
    folder.note.check(accept_lost_claims=False)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("text", ["", "x", f"{3:020} {1000:020}", "٣" * 20 + " " + "1" * 20 + "\n"])
def test_a_note_that_is_damaged_is_said(folder: Folder, text: str) -> None:
    """It starts all the same: the file itself may be whole."""
    (folder.path / "valkey.written").write_text(text)
    folder.note.check(accept_lost_claims=False)
    assert "is damaged" in folder.said[-1]


def test_a_directory_without_a_note_is_as_before(folder: Folder) -> None:
    """One of an earlier version."""
    folder.note.check(accept_lost_claims=False)
    assert not folder.said


async def test_a_note_that_cannot_be_written_is_said_once(folder: Folder) -> None:
    """And goes on to be tried."""
    (folder.path / "valkey.written").mkdir()
    for size_bytes in (1, 2, 3):
        folder.file(3, size_bytes)
        await folder.note.note(_pong)
    (said,) = folder.said
    assert "may go unnoticed" in said
