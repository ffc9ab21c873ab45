"""The folder of archives on a full or read-only disk, in use by another console, or left by a killed one."""

import errno
import gzip
from pathlib import Path
from typing import Any

import pytest

from claimd.console.archive_folder import ArchiveFolder, FolderBusy
from claimd.store.memory import MemoryStore
from tests.rounds import definition, identities, now_ms


async def _round() -> tuple[MemoryStore, Any]:
    store = MemoryStore(now_ms)
    await store.round_create(definition(total=9), "")
    await store.claim("r1", identities(1, 2))
    await store.round_edit("r1", {"closed": True}, "")
    return store, (await store.round("r1")).round


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a part nor a file; the error is the system's."""
    store, item = await _round()

    class Full(gzip.GzipFile):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gzip, "GzipFile", Full)
    with pytest.raises(OSError, match="No space left"):
        async with ArchiveFolder(tmp_path).file(store, item, 1):
            pytest.fail("it was written")
    assert _in(tmp_path) == []


async def test_a_file_that_is_not_placed_is_gone(tmp_path: Path) -> None:
    """One that was placed stays, under its own digest; another of the same round takes no other's place."""
    store, item = await _round()
    folder = ArchiveFolder(tmp_path)
    async with folder.file(store, item, 1):
        pass
    assert _in(tmp_path) == []
    placed = []
    for now in (1, 2):
        async with folder.file(store, item, now) as file:
            placed.append(file.place())
    assert _in(tmp_path) == sorted(placed)
    assert len(placed) == len(set(placed)) == 2
    file.withdraw()
    assert _in(tmp_path) == placed[:1]


async def test_the_folder_is_one_writers_at_a_time(tmp_path: Path) -> None:
    """A second writer gets FolderBusy, also in another process, and the first one's file stays; then it is free."""
    store, item = await _round()
    async with ArchiveFolder(tmp_path).file(store, item, 1) as file:
        with pytest.raises(FolderBusy):
            async with ArchiveFolder(tmp_path).file(store, item, 1):
                pytest.fail("both wrote")
        assert file.part.exists()
    async with ArchiveFolder(tmp_path).file(store, item, 1) as file:
        assert file.audit.ok
