"""The two kinds of users: `CrowdUser` lends a connection to the crowd, `AppUser` behaves like the app, step by step."""

import logging
import random
from typing import Any, ClassVar, Final

import gevent
from locust import FastHttpUser, User, task

from claimd.domain.times import from_rfc3339
from loadtest.client.answers import UNKNOWN, Answer, Finding
from loadtest.client.credentials import subject
from loadtest.crowd.schedule import Kind
from loadtest.drop.generator import Generator
from loadtest.target.clock import read_gateway_clock

PATIENCE_SECONDS: Final = 30.0
_DEFAULT_RETRY_SECONDS: Final = 0.5

logger = logging.getLogger(__name__)


class CrowdUser(User):
    """One keep-alive connection among those that carry the crowd. What it carries, the dispatcher decides."""

    generator: ClassVar[Generator]

    @task
    def carry(self) -> None:
        """Hold the connection until the test stops."""
        self.generator.hold_connection()


class AppUser(FastHttpUser):
    """A person with the app: sees the round, gets a pass, waits for the opening by the server's clock, claims, looks.

    Retries what is safe to retry, which is everything: after a 503 as `Retry-After` says, with jitter; after a dropped
    connection too, because claiming again gives the claim already held.
    """

    generator: ClassVar[Generator]
    fixed_count = 0
    connection_timeout = 10.0
    network_timeout = 20.0
    max_retries = 0

    def on_start(self) -> None:
        """Make known that there is an app user here."""
        self.generator.app_users += 1

    @task
    def visit(self) -> None:
        """One visit, from looking at the round to looking at the claim; then the phone is put away."""
        slot = self.generator.take_app_slot()
        if slot is not None:
            try:
                finding = self._claim_as_a_person_would(slot)
            except (_Unexpected, KeyError, TypeError, ValueError) as error:
                finding = Finding(Answer.WRONG, error=f"app: {error}")
            self._note(slot, finding)
        gevent.sleep(float("inf"))

    def _claim_as_a_person_would(self, slot: int) -> Finding:
        person, tap_offset = self.generator.app_row(slot)
        plan = self.generator.plan
        path = f"/v1/rounds/{plan.round_id}"
        clock = read_gateway_clock(self.host or "", plan.round_id)
        page = self._ask("GET", path, "app: round", {200})
        bearer = f"Bearer {self.generator.token(subject(plan.seed, person))}"
        shown = self._ask("POST", f"{path}/passes", "app: pass", {201}, bearer)["pass"]

        # Until it is open for sure, as far as this phone can know.
        opens = clock.seconds(from_rfc3339(page["opens_at"]) + clock.error_ms)
        self.generator.wait_until(opens + tap_offset)
        self.generator.app_records.sent[slot] = self.generator.since_opening()
        finding = self._claim(f"{path}/claims", f"Pass {shown}")
        self.generator.app_records.done[slot] = self.generator.since_opening()
        if finding.answer not in UNKNOWN:
            self._look_again(f"{path}/claims/me", f"Pass {shown}", finding)
        return finding

    def _claim(self, path: str, credentials: str) -> Finding:
        """Claim until there is an answer that says something about the claim."""
        give_up = self.generator.since_opening() + PATIENCE_SECONDS
        while True:
            with self.client.post(
                path, headers={"Authorization": credentials}, catch_response=True, name="app: claim"
            ) as response:
                status, body = response.status_code, response.content or b""
                finding = self.generator.judge.judge(Kind.APP, str(status).encode(), body)
                can_retry = status in {0, 503} and self.generator.since_opening() < give_up
                if can_retry or finding.error is None:
                    response.success()
                else:
                    response.failure(finding.error)
                if not can_retry:
                    return finding
                retry_after = response.headers.get("Retry-After") if status else None
            self.generator.app_retries += 1
            seconds = float(retry_after or _DEFAULT_RETRY_SECONDS)
            gevent.sleep(seconds * random.uniform(1.0, 1.5))

    def _look_again(self, path: str, credentials: str, finding: Finding) -> None:
        """`claims/me` must say what the claim said."""
        held = finding.answer in {Answer.GRANTED, Answer.REPLAYED}
        mine = self._ask("GET", path, "app: my claim", {200} if held else {404}, credentials)
        if held and (mine["claim"]["serial"], from_rfc3339(mine["claim"]["claimed_at"])) != finding[1:3]:
            raise _Unexpected(f"claims/me shows another claim: {mine['claim']}")
        if not held and mine["code"] != "not_claimed":
            raise _Unexpected(f"claims/me says {mine['code']} after {finding.answer.name.lower()}")

    def _ask(self, method: str, path: str, name: str, expected: set[int], credentials: str | None = None) -> Any:
        """A request whose answer must have one of the `expected` statuses; retried like a claim."""
        give_up = self.generator.now() + PATIENCE_SECONDS
        headers = {"Authorization": credentials} if credentials else {}
        while True:
            with self.client.request(method, path, headers=headers, catch_response=True, name=name) as response:
                status = response.status_code
                if status in expected:
                    response.success()
                    return response.json()
                if status not in {0, 503} or self.generator.now() > give_up:
                    response.failure(f"status {status}")
                    raise _Unexpected(f"{name.removeprefix('app: ')}: status {status}: {response.text}")
                response.success()
            self.generator.app_retries += 1
            gevent.sleep(_DEFAULT_RETRY_SECONDS * random.uniform(1.0, 1.5))

    def _note(self, slot: int, finding: Finding) -> None:
        records = self.generator.app_records
        if finding.error is not None:
            records.errors[finding.error] += 1
        # The time of the claim's answer, not of the second look; where it never came to a claim, now.
        done = records.done[slot]
        if done != done:
            done = self.generator.since_opening()
        records.note(slot, done, finding.answer, finding.serial, finding.claimed_at_ms)


class _Unexpected(Exception):
    """An answer the app cannot go on with."""
