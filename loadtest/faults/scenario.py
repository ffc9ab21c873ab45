"""One scenario from its start to its verdict: a claimd, a round, people in it, something that breaks, and the checker.

Everything is started as a user would start it, and stopped however it ends.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import psutil

from loadtest.client.answers import UNKNOWN, Answer
from loadtest.faults.claimants import People, StuckError
from loadtest.faults.operators import Operators
from loadtest.faults.proxy import Proxy
from loadtest.faults.readiness import Readiness
from loadtest.faults.waiting import PATIENCE_SECONDS, BrokenPromiseError, until
from loadtest.history.checker import check
from loadtest.history.export import read_export
from loadtest.history.log import read_log
from loadtest.history.operations import Operations
from loadtest.target import claimd_up
from loadtest.target.claimd_up import Claimd
from loadtest.target.clock import ServerClock, read_valkey_clock
from loadtest.target.console_client import ApiError, ConsoleClient
from loadtest.target.valkey import Valkey, client

if TYPE_CHECKING:
    from loadtest.faults.hanging import LogReader

ROUND: Final = "faults"
_HOUR_MS: Final = 3_600_000
_FIRST_TOTAL: Final = 10_000
_ENOUGH: Final = 2**31
# From the server being back to the first claim decided.
_BACK_SECONDS: Final = 5.0
# A gateway's own files, its connections to the server, and some that are on their way out.
_FILES_BESIDE_CONNECTIONS: Final = 100


@dataclass(slots=True)
class World:
    """What a scenario plays in. `server` and `proxy` where it does not use claimd's embedded server."""

    claimd: Claimd
    stack: ExitStack
    """Closed when the world ends; what a scenario starts in place of what it ended, it leaves here."""
    workers: int = 1
    server: Valkey | None = None
    proxy: Proxy | None = None
    replica: Valkey | None = None
    log_reader: "LogReader | None" = None
    """Where claimd's log is a pipe."""

    @property
    def server_socket(self) -> Path:
        """Of the server itself, whatever stands in between."""
        if self.server is not None:
            return self.server.socket
        return Path(unquote(urlsplit(self.claimd.redis_url).path))


@contextmanager
def embedded(home: Path, workers: int = 1, data_dir: Path | None = None) -> Iterator[World]:
    """`claimd up` with its embedded server."""
    claimd = claimd_up.prepare(home, home / "claimd.log", data_dir)
    with ExitStack() as stack:
        stack.enter_context(claimd_up.started(claimd, workers))
        yield World(claimd, stack, workers)


@contextmanager
def on_own_server(home: Path, environment: dict[str, str] | None = None) -> Iterator[World]:
    """`claimd up` on a Valkey of somebody's own."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    with ExitStack() as stack:
        server = stack.enter_context(Valkey.running(home / "v", environment=environment))
        stack.enter_context(_up_on(claimd, server.socket))
        yield World(claimd, stack, server=server)


@contextmanager
def with_few_files(home: Path) -> Iterator[World]:
    """The same, of which each process may have no more than 300 files open."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    with ExitStack() as stack:
        server = stack.enter_context(Valkey.running(home / "v"))
        stack.enter_context(_up_on(claimd, server.socket, prefix=("sh", "-c", 'ulimit -n 300; exec "$@"', "sh")))
        yield World(claimd, stack, server=server)


@contextmanager
def behind_a_proxy(home: Path) -> Iterator[World]:
    """The same, with a proxy between the two."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    with ExitStack() as stack:
        server = stack.enter_context(Valkey.running(home / "v"))
        proxy = stack.enter_context(Proxy.running(home / "p", server.socket))
        stack.enter_context(_up_on(claimd, home / "p"))
        yield World(claimd, stack, server=server, proxy=proxy)


@contextmanager
def with_a_replica(home: Path) -> Iterator[World]:
    """A replica beside it, which must have a claim before it is told. The proxy is what a failover moves elsewhere."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    with ExitStack() as stack:
        server = stack.enter_context(new_server(home / "v0"))
        replica = stack.enter_context(new_server(home / "v1"))
        replica.replicate(server)
        proxy = stack.enter_context(Proxy.running(home / "p", server.socket))
        stack.enter_context(_up_on(claimd, home / "p", "--durability=replica"))
        yield World(claimd, stack, server=server, proxy=proxy, replica=replica)


def new_server(folder: Path) -> AbstractContextManager[Valkey]:
    """One that can have replicas, and be one."""
    return Valkey.running(folder, port=claimd_up.free_ports(1)[0])


@contextmanager
def _up_on(claimd: Claimd, socket: Path, *flags: str, prefix: Sequence[str] = ()) -> Iterator[None]:
    with claimd_up.started(claimd, 1, prefix, flags=(f"--redis-url=unix://{socket}", *flags)):
        yield


@dataclass(slots=True)
class Scene:
    """A world with people in it. `progress` is told how many times the fault was tried."""

    world: World
    people: People
    operators: Operators
    console: ConsoleClient
    readiness: Readiness
    progress: Callable[[int], None]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    recoveries: list[float] = field(default_factory=list)
    """Seconds from the server, or whatever was broken, being back to the first claim decided."""
    tried: int = 0
    figures: dict[str, Any] = field(default_factory=dict)

    def done_once(self) -> None:
        """The fault was tried once more."""
        self.tried_so_far(self.tried + 1)

    def tried_so_far(self, times: int) -> int:
        """The fault was tried so many times by now."""
        self.tried = times
        self.progress(times)
        return times

    async def recovered(self, back_at: float) -> None:
        """What was broken is back since that moment: wait until somebody is served, and note how long that took."""
        self.recoveries.append(await self.people.served_after(back_at) - back_at)

    async def told_from_now(self, *told: Answer) -> None:
        """Wait until one more person is told one of these. Raises BrokenPromiseError."""

        def count() -> int:
            return sum(self.people.told[answer] for answer in told)

        so_far = count()
        await until(lambda: count() > so_far, f"somebody is told {' or '.join(answer.name for answer in told)}")

    async def some_time(self, seconds: float) -> None:
        """Let people claim for about so long."""
        await asyncio.sleep(seconds * self.chance.uniform(0.5, 1.5))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one scenario. `violations` is empty where every promise was kept."""

    tried: int
    operations: int
    granted: int
    unknown: int
    violations: dict[str, Any]
    recoveries: list[float]
    figures: dict[str, Any]
    told: str


Play = Callable[[Scene, int], Awaitable[None]]


async def play(
    world: World,
    times: int,
    act: Play,
    progress: Callable[[int], None],
    *,
    clock_holds: bool = True,
    stock_changes: bool = True,
) -> Verdict:
    """Have people claim while `act` breaks things `times` times, then let all settle and judge.

    `clock_holds` is whether the server's clock is the same all the time, `stock_changes` whether operators are at work;
    else there is enough for everybody. Raises StuckError, ApiError, OSError.
    """
    claimd = world.claimd
    console = ConsoleClient(claimd.console_url, claimd.admin_token)
    now_ms = int(time.time() * 1000)
    total = _FIRST_TOTAL if stock_changes else _ENOUGH
    console.create_round(ROUND, total, now_ms - _HOUR_MS // 6, now_ms + 100 * _HOUR_MS)
    people = People(claimd.port, claimd.keys, ROUND)
    operators = Operators(console, ROUND)
    broken: dict[str, Any] = {}
    async with people, Readiness(claimd.port) as readiness:
        scene = Scene(world, people, operators, console, readiness, progress)
        changing = asyncio.create_task(operators.keep_changing() if stock_changes else asyncio.sleep(0))
        try:
            await people.served_after(time.monotonic())
            scene.figures["gateway MiB before"] = _memory_mib(world)
            await act(scene, times)
            if stock_changes and changing.done():
                # Without operators it would soon be about replays and refusals alone.
                changing.result()
        except BrokenPromiseError as error:
            broken["broken"] = str(error)
        except StuckError as error:
            broken["stuck"] = str(error)
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
            await people.stop()
        if not broken:
            await people.settle()
            broken = _leaked(world)
            scene.figures["gateway MiB after"] = _memory_mib(world)
    return await _judged(scene, broken, clock_holds)


async def _judged(scene: Scene, broken: dict[str, Any], clock_holds: bool) -> Verdict:
    """The checker's word, once the console answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _judge(scene, broken, clock_holds)
        except ApiError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


def _judge(scene: Scene, broken: dict[str, Any], clock_holds: bool) -> Verdict:
    operations, console = scene.people.operations, scene.console
    export = read_export(console.export(ROUND), ROUND)
    with client(scene.world.server_socket) as redis:
        log = read_log(redis, ROUND)
        clock: ServerClock | None = read_valkey_clock(redis) if clock_holds else None
    recount = check(
        export, Operations.of(operations), log=log, audit=console.audit(ROUND), clock=clock, gateways_repeat=True
    )
    violations: dict[str, Any] = {**recount.violations(), **broken}
    slow = [seconds for seconds in scene.recoveries if seconds > _BACK_SECONDS]
    if slow:
        violations["back_too_late"] = len(slow)
    if not broken and recount.unsettled:
        violations["unsettled"] = recount.unsettled
    if recount.not_understood:
        violations["not_understood"] = recount.not_understood
    told = scene.people.told
    return Verdict(
        tried=scene.tried,
        operations=len(operations),
        granted=recount.exported,
        unknown=sum(count for answer, count in told.items() if answer in UNKNOWN and answer is not Answer.WRONG),
        violations=violations,
        recoveries=scene.recoveries,
        figures=scene.figures,
        told=scene.people.summary(),
    )


def _memory_mib(world: World) -> list[int]:
    """What each gateway takes. One that was started again begins anew."""
    pids = [world.claimd.pid(f"gateway-{number}") for number in range(world.workers)]
    return [psutil.Process(pid).memory_info().rss >> 20 for pid in pids if psutil.pid_exists(pid)]


def _leaked(world: World) -> dict[str, Any]:
    """Open files of gateways that are far more than they need, with nobody connected any more."""
    found = {}
    for number in range(world.workers):
        with suppress(psutil.NoSuchProcess):
            files = psutil.Process(world.claimd.pid(f"gateway-{number}")).num_fds()
            if files > _FILES_BESIDE_CONNECTIONS:
                found[f"files_left_open_{number}"] = files
    return found
