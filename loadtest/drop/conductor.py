"""Leads a drop from first message to report: in the one process of a plain run, or in the master of a distributed one.

Users connect → each generator prepares its share → the round is made, opening a few seconds later → the crowd comes →
rows come in → audit, export, recount → report, verdict, exit code.
"""

import json
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import gevent
import gevent.event
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner

from claimd.domain.times import from_rfc3339
from loadtest import commandline
from loadtest.client.credentials import Identities, identities
from loadtest.crowd.records import Rows, unpack
from loadtest.crowd.schedule import earliest, people_for
from loadtest.drop import options, report, sizes
from loadtest.drop.messages import DONE, FAILED, OPENS, PREPARE, PROGRESS, READY, ROWS, Done, Opens, Prepare, Progress
from loadtest.drop.verdict import Verdict
from loadtest.history.checker import check
from loadtest.history.export import read_export
from loadtest.history.operations import Operations
from loadtest.target import machine
from loadtest.target.clock import ServerClock
from loadtest.target.console_client import ApiError, ConsoleClient

# From making the round until the earliest bird may tap: for the app users to look at it and get their passes.
LEAD_SECONDS: Final = 1.5
_PREPARE_SECONDS: Final = 300
_STAYS_OPEN_SECONDS: Final = 3600

logger = logging.getLogger(__name__)


class DropError(Exception):
    """The drop cannot go on; the message says why."""


class Conductor:
    """Lives as long as the process; each test that Locust starts is a drop of its own."""

    def __init__(self, environment: Environment, runner: LocalRunner | MasterRunner) -> None:
        self._environment, self._runner = environment, runner
        self._conducting: gevent.Greenlet | None = None
        self._forget()
        runner.register_message(READY, self._on_ready)
        runner.register_message(PROGRESS, self._on_progress)
        runner.register_message(ROWS, self._on_rows)
        runner.register_message(DONE, self._on_done)
        runner.register_message(FAILED, self._on_failed)
        environment.events.spawning_complete.add_listener(self._on_spawning_complete)  # type: ignore[no-untyped-call]
        environment.events.test_stopping.add_listener(self._on_test_stopping)  # type: ignore[no-untyped-call]

    def _forget(self) -> None:
        self._ready: set[int] = set()
        self._all_ready, self._all_done = gevent.event.AsyncResult(), gevent.event.AsyncResult()
        self._progress: dict[int, Progress] = {}
        self._chunks: dict[int, list[bytes]] = {}
        self._done: dict[int, Done] = {}
        self._processes: dict[str, machine.ProcessLog] = {}

    # What Locust and the generators say.

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
        self._ready.add(msg.data["index"])
        if len(self._ready) == self._generators:
            self._all_ready.set(True)

    def _on_progress(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        progress = Progress.load(msg.data)
        self._progress[progress.index] = progress

    def _on_rows(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        self._chunks.setdefault(msg.data["index"], []).append(msg.data["rows"])

    def _on_done(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        done = Done.load(msg.data)
        self._done[done.index] = done
        if len(self._done) == self._generators:
            self._all_done.set(True)

    def _on_failed(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        error = DropError(msg.data["error"])
        self._all_ready.set_exception(error)
        self._all_done.set_exception(error)

    # The drop.

    def _conduct(self) -> None:
        try:
            self._forget()
            verdict = self._drop()
        except (DropError, options.OptionError, commandline.SizeError, ApiError) as error:
            logger.error("%s", error)
            self._tell({"phase": "failed", "error": str(error)})
            verdict = Verdict.FAIL
        except Exception:
            logger.exception("the drop could not be brought to an end")
            verdict = Verdict.FAIL
        self._environment.process_exit_code = verdict.exit_code
        self._conducting = None
        if options.of(self._environment).headless:
            self._runner.quit()
        else:
            self._runner.stop()

    def _drop(self) -> Verdict:
        given = options.of(self._environment)
        console = ConsoleClient(given.console_url, options.admin_token(given))
        pool, seconds, opens_at_ms = self._size(console)
        round_id = given.round or f"drop-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
        self._prepare(Prepare(0, 0, round_id, pool, seconds, given.seed, options.app_users_for(given)))
        everyone = identities(options.keys(given), given.seed, range(people_for(pool)), lambda: gevent.sleep(0))
        self._await(self._all_ready, _PREPARE_SECONDS, "get ready")
        if opens_at_ms is None:
            opens_at_ms = int((time.time() + LEAD_SECONDS + earliest(seconds)) * 1000)
            closes_at_ms = opens_at_ms + int((seconds + _STAYS_OPEN_SECONDS) * 1000)
            console.create_round(round_id, pool, opens_at_ms, closes_at_ms)
        # A fork shares nothing with its children: in a distributed run only claimd's processes are seen from here.
        self._processes = machine.claimd_processes(Path(given.data_dir)) | {"locust": machine.this_process()}
        self._runner.send_message(OPENS, Opens(opens_at_ms).dump())
        watching = gevent.spawn(self._watch, pool, seconds)
        try:
            until_opening = max(0.0, opens_at_ms / 1000 - time.time())
            patience = sizes.finish_seconds(people_for(pool), seconds)
            self._await(self._all_done, until_opening + patience, "finish")
        finally:
            watching.kill()
        self._sample_processes()
        rows = unpack([chunk for index in sorted(self._chunks) for chunk in self._chunks[index]])
        return self._report(console, round_id, pool, seconds, rows, everyone)

    def _size(self, console: ConsoleClient) -> tuple[int, float, int | None]:
        """Pool, seconds, and, of an existing round, when it opens."""
        given = options.of(self._environment)
        if not given.round:
            sizes.check_size(given.pool, given.seconds)
            return given.pool, given.seconds, None
        existing = console.round(given.round)
        if existing["issued"] or existing["status"] != "scheduled":
            raise DropError(
                f"round {given.round} is {existing['status']} with {existing['issued']:,} claims: "
                "a drop needs a round that is yet to open, or the recount could not tell whose claims those are"
            )
        sizes.check_size(existing["total"], given.seconds)
        return existing["total"], given.seconds, from_rfc3339(existing["opens_at"])

    def _prepare(self, plan: Prepare) -> None:
        """Give every generator its share."""
        workers = [] if isinstance(self._runner, LocalRunner) else [c.id for c in self._runner.clients.all]
        self._generators = max(1, len(workers))
        self._tell({"phase": "preparing"})
        for index, worker in enumerate(workers or [None]):
            share = {**plan.dump(), "index": index, "count": self._generators}
            self._runner.send_message(PREPARE, share, worker)

    def _await(self, event: Any, seconds: float, what: str) -> None:
        """Wait for all generators. Raises DropError."""
        try:
            event.get(timeout=seconds)
        except gevent.Timeout:
            raise DropError(f"not every generator managed to {what} within {seconds:.0f} s") from None

    def _watch(self, pool: int, seconds: float) -> None:
        """Once a second: sample the processes, tell the parent how it stands."""
        while True:
            latest = list(self._progress.values())
            if latest:
                self._sample_processes()
                self._tell({"phase": "running", "pool": pool, "seconds": seconds, **merge(latest)})
            gevent.sleep(1)

    def _sample_processes(self) -> None:
        now = time.monotonic()
        for process in self._processes.values():
            process.sample(now)

    def _report(
        self, console: ConsoleClient, round_id: str, pool: int, seconds: float, rows: Rows, everyone: Identities
    ) -> Verdict:
        self._tell({"phase": "auditing"})
        done = [self._done[index] for index in sorted(self._done)]
        zeros = [d.server_ms_at_zero for d in done]
        at_zero, clock_error_ms = max(zeros), max(d.clock_error_ms for d in done) + max(zeros) - min(zeros)
        audit = _or_error(lambda: console.audit(round_id))
        export = read_export(console.export(round_id), round_id)
        gevent.sleep(0)
        counted = check(
            export,
            Operations.of_rows(rows, everyone),
            pool=pool,
            audit=audit,
            clock=ServerClock(at_zero, clock_error_ms),
            # Each generator has its own idea of when the round opened.
            skew_seconds=2 * clock_error_ms / 1000 if len(done) > 1 else 0.0,
        )
        processes = {name: summary for name, log in self._processes.items() if (summary := log.summary())}
        given = options.of(self._environment)
        drop = report.Drop(
            round_id,
            pool,
            seconds,
            given.seed,
            rows,
            done,
            export,
            audit,
            counted,
            processes,
            at_zero,
        )
        built = report.build(drop)
        folder = (
            Path(options.of(self._environment).out) if options.of(self._environment).out else commandline.new_folder()
        )
        report.write(built, folder)
        logger.info("verdict: %s; the report is %s", built["verdict"], folder / "report.html")
        for reason in built["reasons"]:
            logger.warning("%s", reason)
        self._tell({"phase": "done", "verdict": built["verdict"], "report": str(folder / "report.html")})
        return Verdict(built["verdict"])

    def _tell(self, news: dict[str, Any]) -> None:
        """A line of JSON to whoever started this process with --progress-fd."""
        descriptor = options.of(self._environment).progress_fd
        if descriptor >= 0:
            try:
                os.write(descriptor, json.dumps(news).encode() + b"\n")
            except OSError:
                logger.debug("nobody reads the progress any more")


def merge(latest: list[Progress]) -> dict[str, Any]:
    """The progress of several generators as one: counts added up, latencies of the worst."""
    counts = ("offered", "granted", "replayed", "sold_out", "refused", "errors", "waiting", "blind_spells")
    return {
        "offset": round(max(p.offset for p in latest), 2),
        **{name: sum(getattr(p, name) for p in latest) for name in counts},
        "p50_ms": round(max(p.p50_ms for p in latest), 2),
        "p99_ms": round(max(p.p99_ms for p in latest), 2),
    }


def _or_error(ask: Any) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = ask()
    except ApiError as error:
        return {"ok": False, "error": str(error)}
    return answer
