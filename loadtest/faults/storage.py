"""What disks do: they are full, or end in the middle of a transaction when the machine loses its power."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from claimd.store.redis import keys
from loadtest.client.answers import HOLDING, Answer
from loadtest.faults.scenario import ROUND, Scene
from loadtest.faults.waiting import BrokenPromiseError, until
from loadtest.history.operations import Operation
from loadtest.target import children, claimd_up
from loadtest.target.valkey import answers, await_answer, client, launch

_DISK_MIB: Final = 64
_ROOM_BYTES: Final = 200_000
_LAST_CLAIMS: Final = 4
_AT_ONCE: Final = 2


class SkippedError(Exception):
    """It cannot be tried on this machine; the message says why."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 64 MiB of its own. Raises SkippedError where this user may not mount one."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m,mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise SkippedError("mounting a small disk takes root")
    mounted = subprocess.run(mounting, capture_output=True, text=True)
    if mounted.returncode != 0:
        raise SkippedError(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def fill_disk(scene: Scene, times: int) -> None:
    """The disk is full in the middle of it: nothing is told that is not on it, and room is all it takes to go on."""
    disk = scene.world.claimd.data_dir.parent
    filler = disk / "filler"
    for _ in range(times):
        await scene.some_time(0.5)
        _fill(filler)
        await until(lambda: scene.readiness.newest != 200 or not answers(scene.world.server_socket), "it is full")
        await scene.told_from_now(Answer.UNAVAILABLE, Answer.OVERLOADED)
        filler.unlink()
        await until(lambda: answers(scene.world.server_socket), "the server is back")
        await scene.recovered(time.monotonic())
        scene.done_once()


def _fill(filler: Path) -> None:
    """Leave some hundred kilobytes: a fraction of a second's claims."""
    room = shutil.disk_usage(filler.parent).free - _ROOM_BYTES
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, room))


async def cut_append_only_file(scene: Scene, times: int) -> None:
    """The append-only file ends at any byte of its last transactions: it starts, with all that was on disk before."""
    claimd = scene.world.claimd
    await scene.some_time(0.5)
    await scene.people.stop()
    told = await _last_claims(scene, _newest_file(claimd.data_dir))
    configuration = (claimd.data_dir / "valkey.conf").read_text()
    with tempfile.TemporaryDirectory(prefix="claimd-cut-") as folder:
        kept = Path(folder) / "kept"
        shutil.copytree(claimd.data_dir / "appendonlydir", kept)
        size = _size(_newest_file(kept.parent, "kept"))
        first = told[0].on_disk_bytes
        cuts = sorted({first + (size - first) * number // max(1, times - 1) for number in range(times)})
        cutter = _Cutter(kept, configuration, told)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for found in await asyncio.gather(*(_cut(scene, pool, cutter, cut) for cut in cuts)):
                if found:
                    raise BrokenPromiseError(found)
    scene.figures["bytes of the last transactions"] = size - first


async def cut_half_the_file(scene: Scene, times: int) -> None:
    """Half of the append-only file is gone: claimd refuses to start, changes nothing, and starts when it is back."""
    claimd = scene.world.claimd
    for _ in range(times):
        await scene.some_time(0.5)
        file = _newest_file(claimd.data_dir)
        # What is written after the last look, up to a second's worth, may be cut unnoticed where all is killed.
        seen = _size(file)
        await until(lambda size=seen: _noted(claimd.data_dir) >= size, "it has looked at the file")  # type: ignore[misc]
        supervisor = psutil.Process(claimd.pid("supervisor"))
        left = [supervisor, *supervisor.children()]
        supervisor.terminate() if scene.chance.random() < 0.5 else supervisor.kill()
        await until(lambda left=left: not any(map(_lives, left)), "everything has ended")  # type: ignore[misc]
        whole = file.read_bytes()
        cut = int(seen * scene.chance.uniform(0.0, 0.5))
        os.truncate(file, cut)
        wrong = _start_in_vain(scene, f"{cut} of {len(whole)} bytes")
        if file.read_bytes() != whole[:cut]:
            wrong = wrong or "the file was changed before the start was refused"
        file.write_bytes(whole)
        await asyncio.to_thread(scene.world.stack.enter_context, claimd_up.started(claimd, scene.world.workers))
        await scene.recovered(time.monotonic())
        if wrong:
            raise BrokenPromiseError(wrong)
        scene.done_once()


def _noted(data_dir: Path) -> int:
    """How much of the file claimd knows to be on disk."""
    return int((data_dir / "valkey.written").read_text().split()[1])


def _start_in_vain(scene: Scene, what: str) -> str:
    """Start it on a file that was cut: what is wrong with how it is refused, or that it is not."""
    # Not in a thread: what ends a child that failed holds back signals. Clients wait, but nothing can answer them.
    with ExitStack() as stack:
        try:
            stack.enter_context(claimd_up.started(scene.world.claimd, scene.world.workers))
        except children.TargetError as error:
            said = "claims that were acknowledged are lost" in str(error)
            return "" if said else f"it did not say what is lost: {error}"
        return f"it started with {what}, without claims that were acknowledged"


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


async def _cut(scene: Scene, pool: ThreadPoolExecutor, cutter: "_Cutter", cut: int) -> str | None:
    found = await asyncio.get_running_loop().run_in_executor(pool, cutter.try_at, cut)
    scene.done_once()
    return found


@dataclass(frozen=True, slots=True)
class _Acknowledged:
    """A claim that was told, and how long the file was then."""

    claim: Operation
    on_disk_bytes: int


async def _last_claims(scene: Scene, file: Path) -> list[_Acknowledged]:
    """Some more claims, one by one."""
    told: list[_Acknowledged] = []
    await scene.operators.edit({"total": 2**30})
    person = 1 << 40
    while len(told) < _LAST_CLAIMS:
        person += 1
        claim = await scene.people.ask_once(person)
        if claim.answer in HOLDING:
            told.append(_Acknowledged(claim, _size(file)))
    return told


def _size(file: Path) -> int:
    return file.stat().st_size


def _newest_file(folder: Path, name: str = "appendonlydir") -> Path:
    return max((folder / name).glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


@dataclass(frozen=True, slots=True)
class _Cutter:
    kept: Path
    configuration: str
    told: list[_Acknowledged]

    def try_at(self, cut: int) -> str | None:
        """What is wrong with a server whose file ends there, None where nothing is."""
        with tempfile.TemporaryDirectory(prefix="claimd-cut-") as name:
            folder = Path(name)
            shutil.copytree(self.kept, folder / "appendonlydir")
            os.truncate(_newest_file(folder), cut)
            # As `claimd up` has written it, but for the places.
            places = {"dir": folder, "unixsocket": folder / "s", "logfile": folder / "log", "pidfile": folder / "pid"}
            (folder / "valkey.conf").write_text(
                self.configuration + "".join(f'\n{name} "{place}"' for name, place in places.items())
            )
            process = launch(str(folder / "valkey.conf"))
            try:
                await_answer(folder / "s", process, folder / "log")
                with client(folder / "s") as redis:
                    return self._wrong(redis, cut)
            finally:
                process.kill()
                process.wait()

    def _wrong(self, redis: Any, cut: int) -> str | None:
        issued, held = int(redis.hget(keys.of_round(ROUND).round, "issued")), redis.hlen(keys.of_round(ROUND).claims)
        if issued != held:
            return f"cut at {cut}: issued {issued}, but {held} claims"
        for acknowledged in self.told:
            claim = acknowledged.claim
            kept = redis.hget(keys.of_round(ROUND).claims, claim.identity)
            if kept is None and acknowledged.on_disk_bytes <= cut:
                return f"cut at {cut}: the claim told when the file had {acknowledged.on_disk_bytes} bytes is lost"
            if kept is not None and not kept.startswith(b"%d:" % claim.serial):
                return f"cut at {cut}: serial {claim.serial} became {kept!r}"
        return None
