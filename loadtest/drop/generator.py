"""One process of the crowd: prepares its share of the schedule, sends it, and hands the rows to the conductor.

The conductor decides what and when (`messages.py`); the users (`users.py`) bring the connections. The garbage collector
is off while the crowd claims: with a few million objects alive, one full collection is longer than a tick.
"""

import gc
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from loadtest.client.answers import UNKNOWN, Answer
from loadtest.client.connection import Connection
from loadtest.client.credentials import TokenIssuer
from loadtest.client.minting import MintingError
from loadtest.client.requests import Requests
from loadtest.crowd import lateness
from loadtest.crowd.records import Records, pack
from loadtest.drop import locust_stats, options
from loadtest.drop.dispatcher import Dispatcher
from loadtest.drop.errors import DropError
from loadtest.drop.judge import REFUSED, Judge
from loadtest.drop.messages import (
    DONE,
    FAILED,
    OPENS,
    PREPARE,
    PROGRESS,
    READY,
    ROWS,
    Done,
    Opens,
    Prepare,
    Progress,
    Table,
)  # fmt: skip
from loadtest.drop.shares import Share, cannot_sign, claim_share, visit_share
from loadtest.drop.sizes import Visits
from loadtest.drop.visits.records import VisitRecords
from loadtest.drop.visits.run import VisitRun
from loadtest.drop.visits.watching import Watching
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
_ID_BITS: Final = 40

logger = logging.getLogger(__name__)


class Drop:
    """A drop whose opening is known: the requests that are sent, and the clock that rows are counted by."""

    def __init__(self, share: Share, opens_at_ms: int, host: str, requests: Requests) -> None:
        """Estimate the server's clock. Raises ApiError; DropError where the first request is due already."""
        plan = share.plan
        self.plan, self.sign, self.tokens = plan, share.sign, share.tokens
        self.records, self.app_records = share.records, share.app_records
        self.app_retries = 0
        self.judge = Judge(plan.round_id, opens_at_ms)
        self.clock: ServerClock = read_gateway_clock(host, plan.round_id)
        # No request may be early by an error of this clock: offsets count from when the round is open for certain.
        self.server_ms_at_zero = opens_at_ms + self.clock.error_ms + OPENING_MARGIN_SECONDS * 1000
        self.origin = self.clock.seconds(self.server_ms_at_zero)
        if self.since_opening() > share.first_offset - _BEFORE_FIRST_SECONDS:
            raise DropError("the round opens before the crowd is ready: let it open later, or omit --round")
        self._free_slots = deque(range(len(self.app_records.schedule)))
        self.run = share.build_run(self.judge, requests, self.origin)

    def since_opening(self) -> float:
        """Seconds since the opening, the unit of all times in the rows."""
        return monotonic() - self.origin

    def take_app_slot(self) -> int | None:
        """The row of `app_records` that belongs to the next app user; None when all are taken."""
        return self._free_slots.popleft() if self._free_slots else None

    def app_row(self, slot: int) -> tuple[int, float]:
        """The person of an app user's row, and the seconds after the opening at which the person taps."""
        schedule = self.app_records.schedule
        return int(schedule.persons[slot]), float(schedule.offsets[slot])

    @property
    def answered(self) -> bool:
        """Whether every request that was sent has its answer, those of the app users included."""
        app_users_done = len(self.app_records.completed) == len(self.app_records.schedule)
        return app_users_done and self.run.settled


class Generator:
    """The crowd's side of one Locust process. It lives as long as the process; each test is a drop of its own."""

    def __init__(self, environment: Environment, runner: LocalRunner | WorkerRunner) -> None:
        self._environment, self._runner = environment, runner
        self._dispatcher = Dispatcher()
        self._connecting = gevent.lock.BoundedSemaphore(_CONNECTS_AT_ONCE)
        self._share: Share | None = None
        self._requests: Requests | None = None
        self._app_users = 0
        self._opened = gevent.event.AsyncResult()
        runner.register_message(PREPARE, self._on_prepare)
        runner.register_message(OPENS, self._on_opens)

    def reset(self) -> None:
        """Forget the last test; called before the users of the next are started."""
        self._share = None
        self._app_users = 0
        self._opened = gevent.event.AsyncResult()

    # Called by users.

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

    def add_app_user(self) -> None:
        """Count an app user that Locust started in this process."""
        self._app_users += 1

    def await_drop(self) -> Drop:
        """The drop, once the conductor has announced its round."""
        drop: Drop = self._opened.get()
        return drop

    # Called for the conductor's messages.

    def _on_prepare(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        gevent.spawn(self._guarded, self._prepare, Prepare.load(msg.data))

    def _on_opens(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        gevent.spawn(self._guarded, self._carry_out, Opens.load(msg.data))

    def _guarded(self, step: Callable[[Any], None], message: Any) -> None:
        try:
            step(message)
        except (DropError, ApiError, MintingError, OSError, ValueError) as error:
            self._runner.send_message(FAILED, {"error": str(error)})

    def _prepare(self, plan: Prepare) -> None:
        given = options.options_of(self._environment)
        keys = options.keys(given)
        sign = cannot_sign
        if plan.app_users:
            sign = TokenIssuer(Path(given.jwks), given.jwt_issuer, given.jwt_audience, given.jwt_identity).token
        # Before the round opens: heads of many people take a second to make ready. Each generator has ids of its own.
        host, heads = urlsplit(self._environment.host or "").netloc, options.heads(plan.heads, plan.seed)
        self._requests = requests = Requests(plan.round_id, host, heads, first_id=plan.index << _ID_BITS)
        self._await_connections()
        if plan.visits == Visits.WHOLE:
            self._share = visit_share(plan, keys, given)
        else:
            self._share = claim_share(plan, keys, requests, self._app_users, sign)
        self._runner.send_message(READY, {"index": plan.index})

    def _await_connections(self) -> None:
        """Wait until every crowd user is connected. Raises DropError."""
        wanted = self._runner.user_classes_count.get("CrowdUser", 0)
        if not wanted:
            raise DropError("no CrowdUser was started, so the crowd has no connection: give more --users")
        with gevent.Timeout(CONNECT_SECONDS, False):
            while self._dispatcher.open_connections < wanted:
                gevent.sleep(0.05)
            return
        raise DropError(
            f"only {self._dispatcher.open_connections} of {wanted} connections to {self._environment.host} "
            f"came up in {CONNECT_SECONDS} s"
        )

    def _carry_out(self, opens: Opens) -> None:
        if self._share is None or self._requests is None:
            raise DropError("the round was announced to a generator that was not prepared")
        host = self._environment.host or ""
        drop = Drop(self._share, opens.opens_at_ms, host, self._requests)
        with _without_garbage_collection(), self._watched(drop, host) as watching:
            self._dispatcher.load(drop.run)
            self._opened.set(drop)
            meter = _Meter(lambda fresh, totals: self._report_progress(drop, fresh, totals), drop.records)
            metering = gevent.spawn(meter.run)
            drop.run.all_sent.wait()
            self._drain(drop)
            metering.kill()
            meter.sample()
        self._hand_over(drop, meter, watching)

    @contextmanager
    def _watched(self, drop: Drop, host: str) -> Iterator[Watching | None]:
        """Watch the round's events meanwhile, where people do."""
        plan, records = drop.plan, drop.records
        if not plan.watchers or not isinstance(records, VisitRecords):
            yield None
            return
        watching = Watching(host, plan.round_id, records, drop.origin)
        number = len(range(plan.index, plan.watchers, plan.count))
        watching.start(number, first_client=-1 - plan.index * plan.watchers)
        try:
            yield watching
        finally:
            watching.stop()

    def _drain(self, drop: Drop) -> None:
        """Wait for the last answers, for DRAIN_SECONDS at most."""
        with gevent.Timeout(DRAIN_SECONDS, False):
            while not drop.answered:
                gevent.sleep(0.02)

    def _hand_over(self, drop: Drop, meter: "_Meter", watching: Watching | None) -> None:
        errors = drop.records.errors + drop.app_records.errors + (watching.errors if watching else Counter())
        crowd, app = drop.records.rows(), drop.app_records.rows()
        everything = np.concatenate([crowd, app])
        unanswered = everything["answer"] == Answer.NO_ANSWER
        unsent = unanswered & np.isnan(everything["sent"])
        errors["never answered"] = int(np.count_nonzero(unanswered & ~unsent))
        errors["never sent"] = int(np.count_nonzero(unsent))
        self._send_rows(drop, Table.REQUESTS, everything)
        if isinstance(drop.records, VisitRecords):
            self._send_rows(drop, Table.READINGS, drop.records.readings())
            self._send_rows(drop, Table.PASSES, drop.records.issued_passes())
        done = Done(
            index=drop.plan.index,
            crowd_rows=len(crowd),
            blind=[[spell.begin, spell.end] for spell in drop.run.blind],
            cpu_fraction=meter.cpu_fraction,
            busiest_cpu_fraction=lateness.busiest_window(meter.wall, meter.cpu),
            runqueue_fraction=meter.runqueue_fraction,
            connections=self._dispatcher.open_connections,
            app_users=len(app),
            app_retries=drop.app_retries,
            server_ms_at_zero=drop.server_ms_at_zero,
            clock_error_ms=drop.clock.error_ms,
            errors=dict((+errors).most_common(50)),
            visits=_of_visits(drop, watching),
        )
        self._runner.send_message(DONE, done.dump())

    def _send_rows(self, drop: Drop, table: Table, rows: npt.NDArray[np.void]) -> None:
        for chunk in pack(rows):
            self._runner.send_message(ROWS, {"index": drop.plan.index, "table": str(table), "rows": chunk})
            gevent.sleep(0)

    def _report_progress(self, drop: Drop, fresh: npt.NDArray[np.int64], totals: npt.NDArray[np.int64]) -> None:
        """Send the progress to the conductor and feed Locust's statistics.

        `fresh` are the rows answered since the last call; `totals` counts earlier answers by `Answer`, and is updated.
        """
        records, app = drop.records, drop.app_records
        done, answers = np.frombuffer(records.done), np.frombuffer(records.answer, np.uint8)
        latency = done[fresh] - records.intended(fresh)
        locust_stats.feed(self._environment, records.kinds(fresh), answers[fresh], latency)
        totals += np.bincount(answers[fresh], minlength=len(Answer))
        counts = totals + np.bincount([app.answer[row] for row in app.completed], minlength=len(Answer))
        p50, p99 = np.percentile(latency, [50, 99]) * 1000 if len(latency) else (0.0, 0.0)
        progress = Progress(
            index=drop.plan.index,
            offset=drop.since_opening(),
            offered=drop.run.sent + len(app.completed),
            granted=int(counts[Answer.GRANTED]),
            replayed=int(counts[Answer.REPLAYED]),
            sold_out=int(counts[Answer.SOLD_OUT]),
            refused=int(sum(counts[code] for code in REFUSED)),
            errors=int(sum(counts[code] for code in UNKNOWN)),
            passes=int(counts[Answer.PASS_ISSUED]),
            readings=int(counts[Answer.READ] + counts[Answer.UNCHANGED]),
            waiting=drop.run.waiting,
            blind_spells=len(drop.run.blind),
            p50_ms=float(p50),
            p99_ms=float(p99),
        )
        self._runner.send_message(PROGRESS, progress.dump())


def sleep_until(moment: float) -> None:
    """Sleep until `time.monotonic` shows `moment`, and the margin between two clocks after it."""
    gevent.sleep(max(0.0, moment + OPENING_MARGIN_SECONDS - monotonic()))


def _of_visits(drop: Drop, watching: Watching | None) -> dict[str, Any] | None:
    """What the message of a generator has of whole visits; None for a drop without them."""
    if not isinstance(drop.run, VisitRun) or drop.tokens is None:
        return None
    minted = {"count": len(drop.tokens), "seconds": round(drop.tokens.seconds, 2)}
    return {"retries": drop.run.retries, "tokens": minted, "events": watching.summary() if watching else None}


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


class _Meter:
    """Once a second: reports the progress, and notes how much processor time this process used and waited for."""

    def __init__(
        self,
        report: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], None],
        records: Records | VisitRecords,
    ) -> None:
        """`report` takes the rows answered since its last call, and the counts of those before them."""
        self._report, self._records = report, records
        self._seen = 0
        self._totals = np.zeros(len(Answer), np.int64)
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self._runqueue: list[float | None] = []

    def run(self) -> None:
        """Sample once a second, until the greenlet is killed."""
        while True:
            self.sample()
            gevent.sleep(1)

    def sample(self) -> None:
        """Take one sample and report."""
        self.wall.append(monotonic())
        self.cpu.append(process_time())
        self._runqueue.append(runqueue_seconds())
        # A copy: a view would pin the array, which is still growing.
        fresh = np.array(self._records.completed[self._seen :], np.int64)
        self._seen += len(fresh)
        self._report(fresh, self._totals)

    @property
    def cpu_fraction(self) -> float:
        """The share of one core used over the whole run."""
        return (self.cpu[-1] - self.cpu[0]) / (self.wall[-1] - self.wall[0])

    @property
    def runqueue_fraction(self) -> float | None:
        """The share of the run in which this thread was ready but had no core; None where the kernel has no count."""
        first, last = self._runqueue[0], self._runqueue[-1]
        return None if first is None or last is None else (last - first) / (self.wall[-1] - self.wall[0])
