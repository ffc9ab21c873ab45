"""Leads a drop from its first message to its report, in the only process of a run or in Locust's master.

Users connect → each generator prepares its share → the round is created, to open a few seconds later → the crowd
claims → the rows arrive → audit, export, recount → report, verdict, exit code.
"""

import json
import logging
import os
import time
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import gevent
import gevent.event
import numpy as np
import numpy.typing as npt
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner

from claimd.domain.times import from_rfc3339
from loadtest import commandline
from loadtest.client.credentials import Identities, TokenIssuer, identities
from loadtest.crowd.records import ROW, unpack
from loadtest.crowd.schedule import earliest, people_for
from loadtest.drop import options, report, sizes
from loadtest.drop.errors import DropError
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
from loadtest.drop.sizes import Visits
from loadtest.drop.verdict import Verdict
from loadtest.drop.visits.figures import Evening
from loadtest.history.checker import check
from loadtest.history.export import read_export
from loadtest.history.operations import Operations
from loadtest.history.passes import PASS
from loadtest.history.readings import READING
from loadtest.history.visits import Visits as VisitHistory
from loadtest.target import machine
from loadtest.target.clock import ServerClock
from loadtest.target.console_client import ApiError, ConsoleClient
from loadtest.target.server_calls import ServerCalls

# From creating the round until the earliest tap: the app users read the round and get their passes meanwhile.
LEAD_SECONDS: Final = 1.5
_PREPARE_SECONDS: Final = 300
_STAYS_OPEN_SECONDS: Final = 3600

logger = logging.getLogger(__name__)


class Inbox:
    """What the generators of one drop have reported so far."""

    def __init__(self, generators: int) -> None:
        self._generators = generators
        self._ready: set[int] = set()
        self._chunks: dict[tuple[str, int], list[bytes]] = {}
        self._done: dict[int, Done] = {}
        self._progress: dict[int, Progress] = {}
        self.all_ready = gevent.event.AsyncResult()
        self.all_done = gevent.event.AsyncResult()

    def note_ready(self, index: int) -> None:
        """Note that a generator has prepared its share."""
        self._ready.add(index)
        if len(self._ready) == self._generators:
            self.all_ready.set(True)

    def note_progress(self, progress: Progress) -> None:
        """A generator's newest progress replaces its last."""
        self._progress[progress.index] = progress

    def note_rows(self, index: int, table: str, packed: bytes) -> None:
        """Take the next piece of a generator's rows of a table."""
        self._chunks.setdefault((table, index), []).append(packed)

    def note_done(self, done: Done) -> None:
        """A generator has sent all its rows."""
        self._done[done.index] = done
        if len(self._done) == self._generators:
            self.all_done.set(True)

    def note_failed(self, error: str) -> None:
        """A generator cannot go on: waiting for all of them raises DropError."""
        failure = DropError(error)
        self.all_ready.set_exception(failure)
        self.all_done.set_exception(failure)

    @property
    def progress(self) -> list[Progress]:
        """The newest progress of each generator that has reported any."""
        return list(self._progress.values())

    @property
    def done(self) -> list[Done]:
        """The figures of each generator, by its index."""
        return [self._done[index] for index in sorted(self._done)]

    def rows(self, table: Table, row: "np.dtype[np.void]") -> "npt.NDArray[np.void]":
        """The rows of a table of all generators, by their index; `row` is their type."""
        chunks = [chunk for key in sorted(self._chunks) if key[0] == table for chunk in self._chunks[key]]
        return unpack(chunks, row)


class Conductor:
    """Leads the drops of one process. It lives as long as the process; each test of Locust's is a drop of its own."""

    def __init__(self, environment: Environment, runner: LocalRunner | MasterRunner) -> None:
        self._environment, self._runner = environment, runner
        self._conducting: gevent.Greenlet | None = None
        self._inbox = Inbox(0)
        runner.register_message(READY, self._on_ready)
        runner.register_message(PROGRESS, self._on_progress)
        runner.register_message(ROWS, self._on_rows)
        runner.register_message(DONE, self._on_done)
        runner.register_message(FAILED, self._on_failed)
        environment.events.spawning_complete.add_listener(self._on_spawning_complete)  # type: ignore[no-untyped-call]
        environment.events.test_stopping.add_listener(self._on_test_stopping)  # type: ignore[no-untyped-call]

    # Called by Locust, and for the generators' messages.

    def _on_spawning_complete(self, user_count: int, **_: Any) -> None:
        del user_count
        if self._conducting is None:
            self._conducting = gevent.spawn(self._conduct)

    def _on_test_stopping(self, environment: Environment, **_: Any) -> None:
        del environment
        conducting, self._conducting = self._conducting, None
        if conducting is not None and conducting is not gevent.getcurrent():
            logger.error("stopped before the drop was over: there is no report")
            self._environment.process_exit_code = Verdict.FAIL.exit_code
            conducting.kill(block=False)

    def _on_ready(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        self._inbox.note_ready(msg.data["index"])

    def _on_progress(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        self._inbox.note_progress(Progress.load(msg.data))

    def _on_rows(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        self._inbox.note_rows(msg.data["index"], msg.data["table"], msg.data["rows"])

    def _on_done(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        self._inbox.note_done(Done.load(msg.data))

    def _on_failed(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        self._inbox.note_failed(msg.data["error"])

    def _conduct(self) -> None:
        given = options.options_of(self._environment)
        news = News(given.progress_fd)
        try:
            workers = [] if isinstance(self._runner, LocalRunner) else [c.id for c in self._runner.clients.all]
            self._inbox = Inbox(max(1, len(workers)))
            verdict = _Conducting(self._runner, workers, self._inbox, given, news).run()
        except (DropError, commandline.SizeError, ApiError) as error:
            logger.error("%s", error)
            news.write({"phase": "failed", "error": str(error)})
            verdict = Verdict.FAIL
        except Exception:
            logger.exception("the drop could not be brought to an end")
            verdict = Verdict.FAIL
        self._environment.process_exit_code = verdict.exit_code
        self._conducting = None
        if given.headless:
            self._runner.quit()
        else:
            self._runner.stop()


class News:
    """Writes the progress of a drop for the parent process, a line of JSON each."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` is of --progress-fd; nothing is written to a negative one."""
        self._descriptor = descriptor

    def write(self, news: dict[str, Any]) -> None:
        """Write one line; a pipe without a reader is no error."""
        if self._descriptor >= 0:
            try:
                os.write(self._descriptor, json.dumps(news).encode() + b"\n")
            except OSError:
                logger.debug("the pipe for the progress has no reader any more")


class _Conducting:
    """One drop from its preparation to its verdict."""

    def __init__(
        self,
        runner: LocalRunner | MasterRunner,
        workers: list[str],
        inbox: Inbox,
        given: Namespace,
        news: News,
    ) -> None:
        """`workers` are Locust's names of its worker processes; none where this process runs the users itself.

        Raises DropError, SizeError or ApiError for a drop that cannot be.
        """
        self._runner, self._workers, self._inbox, self._given, self._news = runner, workers, inbox, given, news
        self._console = ConsoleClient(given.console_url, options.admin_token(given))
        self._pool, self._seconds, self._opens_at_ms, self._closes_at_ms = _size(given, self._console)
        self._visits = options.visits_of(given)
        self._gathering_seconds = options.gathering_seconds_for(given, self._pool)
        self._round_id: str = given.round or f"drop-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
        # A fork shares nothing with its children: in a distributed run only claimd's processes are seen from here.
        self._processes = machine.claimd_processes(Path(given.data_dir)) | {"locust": machine.this_process()}
        self._server_calls = ServerCalls.of_claimd(Path(given.data_dir)) if self._visits is Visits.WHOLE else None

    def run(self) -> Verdict:
        """Carry the drop out and write its report. Raises DropError, ApiError."""
        self._prepare()
        everyone = identities(
            options.keys(self._given), self._given.seed, range(people_for(self._pool)), lambda: gevent.sleep(0)
        )
        _await(self._inbox.all_ready, _PREPARE_SECONDS, "get ready")
        opens_at_ms = self._opens_at_ms or self._create_round()
        self._runner.send_message(OPENS, Opens(opens_at_ms).dump())
        watching = gevent.spawn(self._watch, opens_at_ms)
        try:
            until_opening = max(0.0, opens_at_ms / 1000 - time.time())
            patience = sizes.finish_seconds(people_for(self._pool), self._seconds)
            _await(self._inbox.all_done, until_opening + patience, "finish")
        finally:
            watching.kill()
        self._sample_processes()
        return self._report(everyone, opens_at_ms)

    def _prepare(self) -> None:
        """Send every generator its share of the crowd."""
        self._news.write({"phase": "minting" if self._visits is Visits.WHOLE else "preparing"})
        count = max(1, len(self._workers))
        plan = Prepare(
            index=0,
            count=count,
            round_id=self._round_id,
            pool=self._pool,
            seconds=self._seconds,
            seed=self._given.seed,
            app_users=options.app_users_for(self._given),
            visits=str(self._visits),
            gathering_seconds=self._gathering_seconds,
            watchers=options.watchers_for(self._given, self._pool),
            heads=self._given.heads,
        )
        for index, worker in enumerate(self._workers or [None]):
            self._runner.send_message(PREPARE, replace(plan, index=index).dump(), worker)

    def _create_round(self) -> int:
        """Create the round; the ms since 1970 at which it opens."""
        before = max(earliest(self._seconds), self._gathering_seconds)
        opens_at_ms = int((time.time() + LEAD_SECONDS + before) * 1000)
        self._closes_at_ms = opens_at_ms + int((self._seconds + _STAYS_OPEN_SECONDS) * 1000)
        self._console.create_round(self._round_id, self._pool, opens_at_ms, self._closes_at_ms)
        return opens_at_ms

    def _watch(self, opens_at_ms: int) -> None:
        """Once a second: sample the processes and the server's calls, and write the progress."""
        while True:
            if self._server_calls is not None:
                self._server_calls.sample(time.time() - opens_at_ms / 1000)
            if latest := self._inbox.progress:
                self._sample_processes()
                people = people_for(self._pool) if self._visits is Visits.WHOLE else 0
                size = {"pool": self._pool, "seconds": self._seconds, "people": people}
                self._news.write({"phase": "running", **size, **merge(latest)})
            gevent.sleep(1)

    def _sample_processes(self) -> None:
        now = time.monotonic()
        for process in self._processes.values():
            process.sample(now)

    def _report(self, everyone: Identities, opens_at_ms: int) -> Verdict:
        self._news.write({"phase": "auditing"})
        rows, done = self._inbox.rows(Table.REQUESTS, ROW), self._inbox.done
        zeros = [d.server_ms_at_zero for d in done]
        at_zero, clock_error_ms = max(zeros), max(d.clock_error_ms for d in done) + max(zeros) - min(zeros)
        audit = _audit(self._console, self._round_id)
        export = read_export(self._console.export(self._round_id), self._round_id)
        gevent.sleep(0)
        recount = check(
            export,
            Operations.of_rows(rows, everyone),
            pool=self._pool,
            audit=audit,
            clock=ServerClock(at_zero, clock_error_ms),
            # Each generator has its own estimate of when the round opened.
            skew_seconds=2 * clock_error_ms / 1000 if len(done) > 1 else 0.0,
            visits=self._history_of_visits(everyone, opens_at_ms),
        )
        built = report.build(
            report.DropResult(
                round_id=self._round_id,
                pool=self._pool,
                seconds=self._seconds,
                seed=self._given.seed,
                rows=rows,
                generators=done,
                export=export,
                audit=audit,
                recount=recount,
                processes={name: summary for name, log in self._processes.items() if (summary := log.summary())},
                server_ms_at_zero=at_zero,
                heads=self._given.heads,
                evening=self._evening(),
            )
        )
        folder = Path(self._given.out) if self._given.out else commandline.new_folder()
        report.write(built, folder)
        logger.info("verdict: %s; the report is %s", built["verdict"], folder / "report.html")
        for reason in built["reasons"]:
            logger.warning("%s", reason)
        self._news.write({"phase": "done", "verdict": built["verdict"], "report": str(folder / "report.html")})
        return Verdict(built["verdict"])

    def _history_of_visits(self, everyone: Identities, opens_at_ms: int) -> VisitHistory | None:
        """What the checker gets of whole visits beside claims; None without them."""
        if self._visits is Visits.NONE:
            return None
        readings, passes = self._inbox.rows(Table.READINGS, READING), self._inbox.rows(Table.PASSES, PASS)
        return VisitHistory(readings, passes, everyone, opens_at_ms, self._closes_at_ms)

    def _evening(self) -> Evening | None:
        """What the report gets of whole visits beside the rows; None without them."""
        if self._visits is Visits.NONE:
            return None
        algorithm = TokenIssuer(Path(self._given.jwks)).algorithm
        return Evening(self._gathering_seconds, people_for(self._pool), algorithm, self._server_calls)


def _size(given: Namespace, console: ConsoleClient) -> tuple[int, float, int | None, int]:
    """Pool, seconds, and opening and closing of an existing round in ms since 1970, None and 0 for one yet to be made.

    Raises SizeError, ApiError; DropError for a round that has opened, and for whole visits without a key for tokens.
    """
    visits = options.visits_of(given)
    if visits is Visits.WHOLE and not given.jwks:
        raise DropError("whole visits need bearer tokens: name the JWKS that signs them (--jwks)")
    if not given.round:
        _check_size(given, visits, given.pool)
        return given.pool, given.seconds, None, 0
    existing = console.round(given.round)
    if existing["issued"] or existing["status"] != "scheduled":
        raise DropError(
            f"round {given.round} is {existing['status']} with {existing['issued']:,} claims: "
            "a drop needs a round that is yet to open, as the recount knows only its own claims"
        )
    _check_size(given, visits, existing["total"])
    window = from_rfc3339(existing["opens_at"]), from_rfc3339(existing["closes_at"])
    return existing["total"], given.seconds, *window


def _check_size(given: Namespace, visits: Visits, pool: int) -> None:
    sizes.check_size(pool, given.seconds, visits, options.gathering_seconds_for(given, pool))


def _await(event: Any, seconds: float, what: str) -> None:
    """Wait for all generators. Raises DropError where one failed, or after `seconds`."""
    try:
        event.get(timeout=seconds)
    except gevent.Timeout:
        raise DropError(f"not every generator managed to {what} within {seconds:.0f} s") from None


def merge(latest: list[Progress]) -> dict[str, Any]:
    """The progress of several generators as one: counts are sums, latencies are of the slowest."""
    counts = (
        "offered",
        "granted",
        "replayed",
        "sold_out",
        "refused",
        "errors",
        "passes",
        "readings",
        "waiting",
        "blind_spells",
    )
    return {
        "offset": round(max(p.offset for p in latest), 2),
        **{name: sum(getattr(p, name) for p in latest) for name in counts},
        "p50_ms": round(max(p.p50_ms for p in latest), 2),
        "p99_ms": round(max(p.p99_ms for p in latest), 2),
    }


def _audit(console: ConsoleClient, round_id: str) -> dict[str, Any]:
    """claimd's audit of the round, or what a report has in its place."""
    try:
        return console.audit(round_id)
    except ApiError as error:
        return {"ok": False, "error": str(error)}
