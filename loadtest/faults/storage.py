"""Faults of the disk: it is full, or its file ends within a transaction, as when the machine loses its power."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from claimd.store.redis import keys
from loadtest.client.answers import HOLDING, Answer
from loadtest.faults.scenario import Scenario
from loadtest.faults.waiting import ViolationError, until, until_gone
from loadtest.history.operations import Operation
from loadtest.target import children, claimd_up
from loadtest.target.valkey import answers, await_answer, client, launch

# Less than a second's claims.
_ROOM_BYTES: Final = 200_000
_LAST_CLAIMS: Final = 4
_PARALLEL: Final = 2


async def fill_disk(scenario: Scenario, times: int) -> None:
    """The disk fills up under load: no claim is acknowledged that is not on it, and claims go on once there is room."""
    disk = scenario.environment.claimd.data_dir.parent
    filler, server_socket = disk / "filler", scenario.environment.server_socket
    for _ in range(times):
        await scenario.under_load(0.5)
        _fill(filler)
        await asyncio.gather(
            until(lambda: scenario.readiness.latest_status != 200 or not answers(server_socket), "the disk is full"),
            scenario.next_answer(Answer.UNAVAILABLE, Answer.OVERLOADED),
        )
        filler.unlink()
        await until(lambda: answers(server_socket), "the server is back")
        await scenario.recovered(time.monotonic())
        scenario.count_injection()


def _fill(filler: Path) -> None:
    """Write a file that leaves 200 kB of the disk."""
    room = shutil.disk_usage(filler.parent).free - _ROOM_BYTES
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, room))


async def cut_append_only_file(scenario: Scenario, times: int) -> None:
    """The append-only file is cut within its last transactions: a server starts with every claim before the cut."""
    claimd = scenario.environment.claimd
    await scenario.under_load(0.5)
    await scenario.claimants.stop()
    acknowledged = await _last_claims(scenario, _newest_file(claimd.data_dir))
    configuration = (claimd.data_dir / "valkey.conf").read_text()
    with tempfile.TemporaryDirectory(prefix="claimd-cut-") as folder:
        kept = Path(folder) / "kept"
        shutil.copytree(claimd.data_dir / "appendonlydir", kept)
        size = _size(_newest_file(kept.parent, "kept"))
        first = acknowledged[0].file_bytes
        cuts = sorted({first + (size - first) * number // max(1, times - 1) for number in range(times)})
        cutter = _Cutter(scenario.round_id, kept, configuration, acknowledged)
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for found in await asyncio.gather(*(_cut(scenario, pool, cutter, cut) for cut in cuts)):
                if found:
                    raise ViolationError(found)
    scenario.figures["bytes of the last transactions"] = size - first


async def cut_half_the_file(scenario: Scenario, times: int) -> None:
    """Half of the append-only file is gone: claimd refuses to start and changes nothing; once restored, it starts."""
    claimd = scenario.environment.claimd
    for _ in range(times):
        await scenario.under_load(0.5)
        file = _newest_file(claimd.data_dir)
        # claimd records the file's size once a second. What is written after, and before SIGKILL, can be cut unnoticed.
        recorded = _size(file)
        await until(_records_at_least(claimd.data_dir, recorded), "claimd has recorded the file's size")
        supervisor = scenario.environment.process("supervisor")
        processes = [supervisor, *supervisor.children()]
        supervisor.terminate() if scenario.random.random() < 0.5 else supervisor.kill()
        await until_gone(processes, "every process has ended")
        whole = file.read_bytes()
        cut = int(recorded * scenario.random.uniform(0.0, 0.5))
        os.truncate(file, cut)
        violation = _refused_start(scenario, f"{cut} of {len(whole)} bytes")
        if file.read_bytes() != whole[:cut]:
            violation = violation or "the file was changed before the start was refused"
        file.write_bytes(whole)
        await asyncio.to_thread(scenario.environment.restart)
        await scenario.recovered(time.monotonic())
        if violation:
            raise ViolationError(violation)
        scenario.count_injection()


def _records_at_least(data_dir: Path, size: int) -> Callable[[], bool]:
    """Return a condition: claimd has recorded that at least `size` bytes of the file are on disk."""
    return lambda: int((data_dir / "valkey.written").read_text().split()[1]) >= size


def _refused_start(scenario: Scenario, what: str) -> str:
    """Start claimd on a cut file; return the violation, empty if the start is refused with the right message."""
    # Not in a thread: `children.stop` sets signal handlers. It blocks the clients, which have no server anyway.
    with ExitStack() as stack:
        try:
            stack.enter_context(claimd_up.started(scenario.environment.claimd, scenario.environment.workers))
        except children.TargetError as error:
            as_expected = "claims that were acknowledged are lost" in str(error)
            return "" if as_expected else f"the message does not name the lost claims: {error}"
        return f"claimd started with {what}, without claims that were acknowledged"


async def _cut(scenario: Scenario, pool: ThreadPoolExecutor, cutter: "_Cutter", cut: int) -> str | None:
    found = await asyncio.get_running_loop().run_in_executor(pool, cutter.try_at, cut)
    scenario.count_injection()
    return found


@dataclass(frozen=True, slots=True)
class _Acknowledged:
    """An acknowledged claim, and the size of the append-only file right after."""

    claim: Operation
    file_bytes: int


async def _last_claims(scenario: Scenario, file: Path) -> list[_Acknowledged]:
    """Make four more claims one by one, with enough stock."""
    acknowledged: list[_Acknowledged] = []
    await scenario.operators.edit({"total": 2**30})
    claimant = 1 << 40
    while len(acknowledged) < _LAST_CLAIMS:
        claimant += 1
        claim = await scenario.claimants.claim_once(claimant)
        if claim.answer in HOLDING:
            acknowledged.append(_Acknowledged(claim, _size(file)))
    return acknowledged


def _size(file: Path) -> int:
    return file.stat().st_size


def _newest_file(folder: Path, name: str = "appendonlydir") -> Path:
    return max((folder / name).glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Starts a server on copies of the folder `kept`, with the `configuration` that `claimd up` wrote."""

    round_id: str
    kept: Path
    configuration: str
    acknowledged: list[_Acknowledged]

    def try_at(self, cut: int) -> str | None:
        """Start a server whose append-only file ends at byte `cut`; return the violation, or None."""
        with tempfile.TemporaryDirectory(prefix="claimd-cut-") as name:
            folder = Path(name)
            shutil.copytree(self.kept, folder / "appendonlydir")
            os.truncate(_newest_file(folder), cut)
            # The configuration of `claimd up` with other paths.
            paths = {"dir": folder, "unixsocket": folder / "s", "logfile": folder / "log", "pidfile": folder / "pid"}
            (folder / "valkey.conf").write_text(
                self.configuration + "".join(f'\n{name} "{path}"' for name, path in paths.items())
            )
            process = launch(str(folder / "valkey.conf"))
            try:
                await_answer(folder / "s", process, folder / "log")
                with client(folder / "s") as redis:
                    return self._violation(redis, cut)
            finally:
                process.kill()
                process.wait()

    def _violation(self, redis: Any, cut: int) -> str | None:
        of_round = keys.of_round(self.round_id)
        issued, claims = int(redis.hget(of_round.round, "issued")), redis.hlen(of_round.claims)
        if issued != claims:
            return f"cut at {cut}: issued {issued}, but {claims} claims"
        for acknowledged in self.acknowledged:
            claim = acknowledged.claim
            kept = redis.hget(of_round.claims, claim.identity)
            if kept is None and acknowledged.file_bytes <= cut:
                return f"cut at {cut}: the claim acknowledged at {acknowledged.file_bytes} bytes is lost"
            if kept is not None and not kept.startswith(b"%d:" % claim.serial):
                return f"cut at {cut}: serial {claim.serial} became {kept!r}"
        return None
