"""One process of the crowd: takes its share of the schedule, mints its passes, runs it, and hands its rows over.

The conductor says what and when (`messages.py`); the users (`users.py`) bring the connections. The garbage collector
rests while the crowd is at the door: with a few million objects alive, one full collection is longer than a tick.
"""

import gc
import logging
from array import array
from collections import deque
from pathlib import Path
from time import monotonic, process_time
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
import gevent.event
import gevent.lock
import numpy as np
import numpy.typing as npt
from locust.env import Environment
from locust.runners import LocalRunner, WorkerRunner

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.answers import UNKNOWN, Answer
from loadtest.client.connection import Connection
from loadtest.client.credentials import TokenIssuer, mint
from loadtest.client.requests import claim_head
from loadtest.crowd import lateness
from loadtest.crowd.records import Records, pack
from loadtest.crowd.schedule import Kind, Schedule, gather
from loadtest.drop import locust_stats, options
from loadtest.drop.dispatcher import Dispatcher
from loadtest.drop.judge import REFUSED, Judge
from loadtest.drop.messages import DONE, FAILED, OPENS, PREPARE, PROGRESS, READY, ROWS, Done, Opens, Prepare, Progress
from loadtest.target.clock import ServerClock, read_gateway_clock
from loadtest.target.console_client import ApiError
from loadtest.target.machine import runqueue_seconds

CONNECT_SECONDS: Final = 30
DRAIN_SECONDS: Final = 20
# What a gateway's clock and its store's may differ by on machines that are kept in time.
OPENING_MARGIN_SECONDS: Final = 0.005
_CONNECTS_AT_ONCE: Final = 64
_RETRY_CONNECT_SECONDS: Final = 0.2
_BEFORE_FIRST_SECONDS: Final = 0.2

logger = logging.getLogger(__name__)


class Generator:
    """The crowd's side of one Locust process. Lives as long as the process; each test prepares it anew."""

    def __init__(self, environment: Environment, runner: LocalRunner | WorkerRunner) -> None:
        self._environment, self._runner = environment, runner
        self._dispatcher = Dispatcher()
        self._connecting = gevent.lock.BoundedSemaphore(_CONNECTS_AT_ONCE)
        self.forget()
        runner.register_message(PREPARE, self._on_prepare)
        runner.register_message(OPENS, self._on_opens)

    def forget(self) -> None:
        """Forget the last test, for the next."""
        self.app_users = 0
        self.app_retries = 0
        self.opened = gevent.event.AsyncResult()
        self._slots: deque[int] = deque()

    # What users call.

    def hold_connection(self) -> None:
        """Keep one connection open and lend it to the dispatcher, until the user is stopped."""
        url = urlsplit(self._environment.host or "")
        address = (url.hostname or "127.0.0.1", url.port or 80)
        connection: Connection | None = None
        try:
            while True:
                try:
                    with self._connecting:
                        connection = Connection(address, self._dispatcher.on_answer, self._dispatcher.on_lost)
                except OSError as error:
                    logger.debug("cannot connect to %s: %s", address, error)
                    gevent.sleep(_RETRY_CONNECT_SECONDS)
                    continue
                self._dispatcher.adopt(connection)
                connection.gone.wait()
        finally:
            if connection is not None:
                self._dispatcher.release(connection)

    def take_app_slot(self) -> int | None:
        """The row of an app user's own place in the schedule, once the round was announced; None when none is left."""
        self.opened.get()
        return self._slots.popleft() if self._slots else None

    def app_row(self, slot: int) -> tuple[int, float]:
        """Who is at this slot, and how many seconds after the opening they tap."""
        schedule = self.app_records.schedule
        return int(schedule.persons[slot]), float(schedule.offsets[slot])

    def since_opening(self) -> float:
        """Seconds since the opening, as the rows count them."""
        return monotonic() - self._origin

    @staticmethod
    def now() -> float:
        """The clock everything here is counted by."""
        return monotonic()

    @staticmethod
    def wait_until(moment: float) -> None:
        """Sleep until `now()` says `moment`, and the margin between two clocks after it."""
        gevent.sleep(max(0.0, moment + OPENING_MARGIN_SECONDS - monotonic()))

    # What the conductor says.

    def _on_prepare(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        gevent.spawn(self._guarded, self._prepare, Prepare.load(msg.data))

    def _on_opens(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        gevent.spawn(self._guarded, self._run, Opens.load(msg.data))

    def _guarded(self, step: Any, message: Any) -> None:
        try:
            step(message)
        except (options.OptionError, ApiError, OSError, ValueError) as error:
            self._runner.send_message(FAILED, {"error": str(error)})

    def _prepare(self, plan: Prepare) -> None:
        self.plan = plan
        given = options.of(self._environment)
        keys = options.keys(given)
        if plan.app_users:
            issuer = TokenIssuer(Path(given.jwks), given.jwt_issuer, given.jwt_audience, given.jwt_identity)
            self.token = issuer.token
        self._await_connections()
        schedule = gather(plan.pool, plan.seconds, plan.seed, plan.app_users).slice(plan.index, plan.count)
        crowd, app = self._share_out(schedule)
        self.records, self.app_records = Records(crowd), Records(app)
        # A person's taps show the same pass.
        shown, which = np.unique(crowd.persons, return_inverse=True)
        self._passes = mint(keys, plan.round_id, plan.seed, shown, crowd.people, lambda: gevent.sleep(0))
        self._pass_starts = array("q", (which.astype(np.int64) * PASS_CHARACTERS).tobytes())
        self._runner.send_message(READY, {"index": plan.index})

    def _await_connections(self) -> None:
        """Wait until every crowd user is connected."""
        wanted = self._runner.user_classes_count.get("CrowdUser", 0)
        if not wanted:
            raise options.OptionError(
                "no CrowdUser was started, so nobody carries the crowd's requests; give more --users"
            )
        with gevent.Timeout(CONNECT_SECONDS, False):
            while self._dispatcher.open_connections < wanted:
                gevent.sleep(0.05)
            return
        raise options.OptionError(
            f"only {self._dispatcher.open_connections} of {wanted} connections to {self._environment.host} "
            f"came up in {CONNECT_SECONDS} s"
        )

    def _share_out(self, schedule: Schedule) -> tuple[Schedule, Schedule]:
        """What the crowd's connections carry, and what the app users do themselves.

        Locust may have started fewer app users here than there are places for them: the crowd takes the rest.
        """
        app_rows = np.flatnonzero(schedule.kinds == Kind.APP)
        schedule.kinds[app_rows[self.app_users :]] = Kind.CLAIM
        by_app = schedule.kinds == Kind.APP
        return schedule.pick(~by_app), schedule.pick(by_app)

    def _run(self, opens: Opens) -> None:
        plan = self.plan
        host = self._environment.host or ""
        self.judge = Judge(plan.round_id, opens.opens_at_ms)
        clock = read_gateway_clock(host, plan.round_id)
        # Nobody may knock too early by a mistake of ours: offsets count from when the round is open for sure.
        self._server_ms_at_zero = opens.opens_at_ms + clock.error_ms + OPENING_MARGIN_SECONDS * 1000
        self._origin = clock.seconds(self._server_ms_at_zero)
        head = claim_head(plan.round_id, urlsplit(host).netloc)
        if (
            len(self.records.schedule)
            and self.since_opening() > self.records.schedule.offsets[0] - _BEFORE_FIRST_SECONDS
        ):
            raise options.OptionError(
                "the round opens before the crowd is ready; open it later, or let a new one be made"
            )
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            self._dispatcher.load(self.records, self._passes, self._pass_starts, self.judge, head, self._origin)
            self._slots = deque(range(len(self.app_records.schedule)))
            self.opened.set(opens)
            meter = _Meter(self)
            metering = gevent.spawn(meter.run)
            self._dispatcher.run()
            self._drain()
            metering.kill()
            meter.sample()
        finally:
            gc.enable()
            gc.unfreeze()
        self._hand_over(meter, clock)

    def _drain(self) -> None:
        """Wait for the last answers, but not for ever."""
        with gevent.Timeout(DRAIN_SECONDS, False):
            while self._dispatcher.answered < self._dispatcher.sent or self._app_under_way():
                gevent.sleep(0.02)

    def _app_under_way(self) -> bool:
        return len(self.app_records.completed) < len(self.app_records.schedule)

    def _hand_over(self, meter: "_Meter", clock: ServerClock) -> None:
        errors = self.records.errors + self.app_records.errors
        crowd, app = self.records.rows(), self.app_records.rows()
        silent = int(
            np.count_nonzero(crowd["answer"] == Answer.NO_ANSWER) + np.count_nonzero(app["answer"] == Answer.NO_ANSWER)
        )
        if silent:
            errors["never answered"] = silent
        for chunk in pack(np.concatenate([crowd, app])):
            self._runner.send_message(ROWS, {"index": self.plan.index, "rows": chunk})
            gevent.sleep(0)
        done = Done(
            index=self.plan.index,
            crowd_rows=len(crowd),
            blind=[[spell.begin, spell.end] for spell in self._dispatcher.blind],
            cpu_fraction=meter.cpu_fraction,
            busiest_cpu_fraction=lateness.busiest_window(meter.wall, meter.cpu),
            runqueue_fraction=meter.runqueue_fraction,
            connections=self._dispatcher.open_connections,
            app_users=len(app),
            app_retries=self.app_retries,
            server_ms_at_zero=self._server_ms_at_zero,
            clock_error_ms=clock.error_ms,
            errors=dict(errors.most_common(50)),
        )
        self._runner.send_message(DONE, done.dump())

    def progress(self, fresh: npt.NDArray[np.int64], totals: npt.NDArray[np.int64]) -> Progress:
        """How the run stands. `fresh`: rows answered since the last call; `totals`: earlier answers, by `Answer`."""
        records, app = self.records, self.app_records
        done, told = np.frombuffer(records.done), np.frombuffer(records.answer, np.uint8)
        latency = done[fresh] - records.intended(fresh)
        locust_stats.feed(self._environment, records.schedule.kinds[fresh], told[fresh], latency)
        totals += np.bincount(told[fresh], minlength=len(Answer))
        counts = totals + np.bincount([app.answer[row] for row in app.completed], minlength=len(Answer))
        p50, p99 = np.percentile(latency, [50, 99]) * 1000 if len(latency) else (0.0, 0.0)
        return Progress(
            index=self.plan.index,
            offset=self.since_opening(),
            offered=self._dispatcher.sent + len(app.completed),
            granted=int(counts[Answer.GRANTED]),
            replayed=int(counts[Answer.REPLAYED]),
            sold_out=int(counts[Answer.SOLD_OUT]),
            refused=int(sum(counts[code] for code in REFUSED)),
            errors=int(sum(counts[code] for code in UNKNOWN)),
            waiting=self._dispatcher.waiting,
            blind_spells=len(self._dispatcher.blind),
            p50_ms=float(p50),
            p99_ms=float(p99),
        )

    def report(self, progress: Progress) -> None:
        """Tell the conductor."""
        self._runner.send_message(PROGRESS, progress.dump())


class _Meter:
    """Once a second: progress to the conductor, and how much processor time the generator took, and had to wait for."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._seen = 0
        self._totals = np.zeros(len(Answer), np.int64)
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self._runqueue: list[float | None] = []

    def run(self) -> None:
        while True:
            self.sample()
            gevent.sleep(1)

    def sample(self) -> None:
        self.wall.append(monotonic())
        self.cpu.append(process_time())
        self._runqueue.append(runqueue_seconds())
        # A copy: a view would pin the array, which is still growing.
        fresh = np.array(self._generator.records.completed[self._seen :], np.int64)
        self._seen += len(fresh)
        self._generator.report(self._generator.progress(fresh, self._totals))

    @property
    def cpu_fraction(self) -> float:
        """Of one core, over the whole run."""
        return (self.cpu[-1] - self.cpu[0]) / (self.wall[-1] - self.wall[0])

    @property
    def runqueue_fraction(self) -> float | None:
        """The share of the run it was ready and another process had the core; None where the kernel does not say."""
        first, last = self._runqueue[0], self._runqueue[-1]
        return None if first is None or last is None else (last - first) / (self.wall[-1] - self.wall[0])
