"""The two kinds of Locust users: `CrowdUser` lends a connection to the crowd, `AppUser` acts as the app does."""

import math
import random
from time import monotonic
from typing import Any, ClassVar, Final

import gevent
from locust import FastHttpUser, User, task

from claimd.domain.times import from_rfc3339
from loadtest.client.answers import HOLDING, UNKNOWN, Answer, Finding
from loadtest.client.credentials import subject
from loadtest.crowd.schedule import Kind
from loadtest.drop.generator import Drop, Generator, sleep_until
from loadtest.target.clock import read_gateway_clock

PATIENCE_SECONDS: Final = 30.0
_DEFAULT_RETRY_SECONDS: Final = 0.5


class CrowdUser(User):
    """One of the keep-alive connections that the dispatcher sends the crowd's requests on."""

    generator: ClassVar[Generator]

    @task
    def carry(self) -> None:
        """Hold the connection until the test stops."""
        self.generator.hold_connection()


class AppUser(FastHttpUser):
    """A person with the app: reads the round, gets a pass, waits for the opening by the server's clock, claims, and
    reads the claim back.

    Every step is safe to retry, so each is retried with jitter: a claim after a 503 as `Retry-After` asks, and after a
    dropped connection, as a second claim is answered with the first one.
    """

    generator: ClassVar[Generator]
    fixed_count = 0
    connection_timeout = 10.0
    network_timeout = 20.0
    max_retries = 0

    def on_start(self) -> None:
        """Count this user before the schedule is shared out."""
        self.generator.add_app_user()

    @task
    def visit(self) -> None:
        """Make one visit, from the round to the claim; then do nothing until the test stops."""
        drop = self.generator.await_drop()
        slot = drop.take_app_slot()
        if slot is not None:
            _Visit(self, drop, slot).make()
        gevent.sleep(float("inf"))


class _Visit:
    """One app user's visit, whose result goes to row `slot` of the drop's app records."""

    def __init__(self, user: AppUser, drop: Drop, slot: int) -> None:
        self._client, self._host = user.client, user.host or ""
        self._drop, self._slot = drop, slot

    def make(self) -> None:
        """Visit and note the answer; an answer that the app cannot handle is noted as WRONG."""
        try:
            finding = self._claim_as_the_app_does()
        except (_Unexpected, KeyError, TypeError, ValueError) as error:
            finding = Finding(Answer.WRONG, error=f"app: {error}")
        self._note(finding)

    def _claim_as_the_app_does(self) -> Finding:
        drop, records, slot = self._drop, self._drop.app_records, self._slot
        person, tap_offset = drop.app_row(slot)
        plan = drop.plan
        path = f"/v1/rounds/{plan.round_id}"
        clock = read_gateway_clock(self._host, plan.round_id)
        page = self._ask("GET", path, "app: round", {200})
        bearer = f"Bearer {drop.sign(subject(plan.seed, person))}"
        pass_text = self._ask("POST", f"{path}/passes", "app: pass", {201}, bearer)["pass"]

        # Until the round is open for certain, by what this phone knows of the server's clock.
        opens = clock.seconds(from_rfc3339(page["opens_at"]) + clock.error_ms)
        sleep_until(opens + tap_offset)
        records.sent[slot] = drop.since_opening()
        finding = self._claim(f"{path}/claims", f"Pass {pass_text}")
        records.done[slot] = drop.since_opening()
        if finding.answer not in UNKNOWN:
            self._read_back(f"{path}/claims/me", f"Pass {pass_text}", finding)
        return finding

    def _claim(self, path: str, credentials: str) -> Finding:
        """Claim until an answer settles the outcome, for PATIENCE_SECONDS at most."""
        give_up = monotonic() + PATIENCE_SECONDS
        while True:
            with self._client.post(
                path, headers={"Authorization": credentials}, catch_response=True, name="app: claim"
            ) as response:
                status, body = response.status_code, response.content or b""
                finding = self._drop.judge.judge(Kind.APP, str(status).encode(), body)
                can_retry = status in {0, 503} and monotonic() < give_up
                if can_retry or finding.error is None:
                    response.success()
                else:
                    response.failure(finding.error)
                if not can_retry:
                    return finding
                retry_after = response.headers.get("Retry-After") if status else None
            self._drop.app_retries += 1
            seconds = float(retry_after or _DEFAULT_RETRY_SECONDS)
            gevent.sleep(seconds * random.uniform(1.0, 1.5))

    def _read_back(self, path: str, credentials: str, finding: Finding) -> None:
        """Compare `claims/me` with the answer to the claim. Raises _Unexpected where they differ."""
        held = finding.answer in HOLDING
        mine = self._ask("GET", path, "app: my claim", {200} if held else {404}, credentials)
        if held and (mine["claim"]["serial"], from_rfc3339(mine["claim"]["claimed_at"])) != finding[1:3]:
            raise _Unexpected(f"claims/me shows another claim: {mine['claim']}")
        if not held and mine["code"] != "not_claimed":
            raise _Unexpected(f"claims/me answers {mine['code']} after {finding.answer.name.lower()}")

    def _ask(self, method: str, path: str, name: str, expected: set[int], credentials: str | None = None) -> Any:
        """The JSON of an answer with one of the `expected` statuses; 503 and dropped connections are retried.

        Raises _Unexpected for another status.
        """
        give_up = monotonic() + PATIENCE_SECONDS
        headers = {"Authorization": credentials} if credentials else {}
        while True:
            with self._client.request(method, path, headers=headers, catch_response=True, name=name) as response:
                status = response.status_code
                if status in expected:
                    response.success()
                    return response.json()
                if status not in {0, 503} or monotonic() > give_up:
                    response.failure(f"status {status}")
                    raise _Unexpected(f"{name.removeprefix('app: ')}: status {status}: {response.text}")
                response.success()
            self._drop.app_retries += 1
            gevent.sleep(_DEFAULT_RETRY_SECONDS * random.uniform(1.0, 1.5))

    def _note(self, finding: Finding) -> None:
        records, slot = self._drop.app_records, self._slot
        if finding.error is not None:
            records.errors[finding.error] += 1
        # The time of the claim's answer, before it was read back; NaN where there was no claim, and now stands for it.
        done = records.done[slot]
        if math.isnan(done):
            done = self._drop.since_opening()
        records.note(slot, done, finding.answer, finding.serial, finding.claimed_at_ms)


class _Unexpected(Exception):
    """An answer that the app cannot go on with."""
