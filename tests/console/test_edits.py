"""Edits that know what they edit: relative totals, versions, revoked passes, deletion, and the log of it all."""

import asyncio
import json
from typing import Any

import pytest

from claimd.domain.rounds import MAX_TOTAL
from claimd.domain.times import HOUR_MS, from_rfc3339, to_rfc3339
from tests.console.test_rounds import NIGHT, ROUNDS, new_round
from tests.http.answers import good, problem
from tests.http.serving import ADMIN, Served, open_round
from tests.rounds import now_ms


async def _edit(console: Served, if_match: str | None = None, **changes: Any) -> Any:
    headers = ADMIN if if_match is None else {**ADMIN, "If-Match": if_match}
    return await console.http.patch(NIGHT, headers=headers, json={**changes, "reason": "why"})


async def _log(console: Served) -> list[dict[str, Any]]:
    answer = await console.http.get(f"{NIGHT}/log", headers=ADMIN)
    assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
    return [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_a_relative_change_adds_to_whatever_the_total_is(console: Served) -> None:
    """Fifty operators who each add one, at the same time, add fifty; the log has each total."""
    await open_round(console.store, total=1_500_000)
    answers = await asyncio.gather(*(_edit(console, total_change=1) for _ in range(50)))
    totals = sorted([(await good(answer))["total"] for answer in answers])
    assert totals == list(range(1_500_001, 1_500_051))
    assert sorted(entry["fields"]["total"] for entry in await _log(console)) == [1_500_000, *totals]
    assert (await good(await _edit(console, total_change=-51)))["total"] == 1_499_999


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"total_change": -4}, 409, "total_below_issued"),
        ({"total_change": -6}, 422, "invalid_round"),
        ({"total_change": MAX_TOTAL}, 422, "invalid_round"),
        ({"total_change": MAX_TOTAL + 1}, 422, "invalid_round"),
        ({"total_change": -MAX_TOTAL - 1}, 422, "invalid_round"),
        ({"total_change": 1, "total": 9}, 422, "invalid_round"),
        ({"total_change": "+1"}, 422, "invalid_round"),
        ({"total_change": 1.5}, 422, "invalid_round"),
        ({"total_change": None}, 422, "invalid_round"),
        ({"total_change": True}, 422, "invalid_round"),
    ],
    ids=str,
)
async def test_a_relative_change_out_of_range_is_rejected(
    console: Served, changes: dict[str, Any], status: int, code: str
) -> None:
    """It is refused with the field at fault, and the round stays as it is."""
    await open_round(console.store, total=5)
    await console.store.claims.claim("night", [bytes([n]) * 16 for n in range(2)])
    before = (await console.store.rounds.round("night")).round
    document = await problem(await _edit(console, **changes), status, code)
    if code == "invalid_round":
        assert document["field"] == "total_change"
    assert (await console.store.rounds.round("night")).round == before


async def test_a_new_round_has_no_relative_total(console: Served) -> None:
    """There is nothing that it could be added to."""
    answer = await console.http.post(ROUNDS, headers=ADMIN, json=new_round(total_change=1))
    assert (await problem(answer, 422, "invalid_round"))["field"] == "total_change"


async def test_the_second_of_two_edits_of_one_version_is_rejected(console: Served) -> None:
    """412 with the version as it is now; nothing was changed, and the log has one edit."""
    created = await console.http.post(ROUNDS, headers=ADMIN, json=new_round())
    read = await console.http.get(NIGHT, headers=ADMIN)
    assert created.headers["ETag"] == read.headers["ETag"] == '"1"'
    assert (await good(read))["version"] == 1
    first = await _edit(console, read.headers["ETag"], total=10)
    assert (await good(first))["version"] == 2
    assert first.headers["ETag"] == '"2"'
    second = await _edit(console, read.headers["ETag"], title="Another")
    assert (await problem(second, 412, "version_mismatch"))["version"] == 2
    after = await good(await console.http.get(NIGHT, headers=ADMIN))
    assert (after["total"], after["title"], after["version"]) == (10, "A night", 2)
    assert [entry["version"] for entry in await _log(console)] == [1, 2]


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ('"1"', 200),
        ("*", 200),
        ('"2"', 412),
        ('W/"1"', 412),
        ('"x"', 412),
        ('"01"', 412),
        ('""', 412),
        ('"' + "9" * 30 + '"', 412),
        ("1", 400),
        ("", 400),
        ('"1', 400),
        ('"1", "2"', 400),
        ("latest", 400),
    ],
)
@pytest.mark.parametrize(
    "route", ["PATCH ", "POST /pause", "POST /resume", "POST /close", "POST /passes/revoke", "DELETE "]
)
async def test_every_edit_can_be_bound_to_a_version(console: Served, route: str, if_match: str, status: int) -> None:
    """`If-Match` on each route that edits: one strong tag that fits, or `*`, or nothing is changed."""
    await open_round(console.store)
    before = (await console.store.rounds.round("night")).round
    method, _, rest = route.partition(" ")
    body = {"reason": "why", **({"total": 7} if method == "PATCH" else {})}
    answer = await console.http.request(method, NIGHT + rest, headers={**ADMIN, "If-Match": if_match}, json=body)
    if status == 200:
        assert answer.status == (204 if method == "DELETE" else 200)
        return
    await problem(answer, status, "bad_request" if status == 400 else "version_mismatch")
    assert (await console.store.rounds.round("night")).round == before


async def test_revoked_passes_stand_in_the_log(console: Served) -> None:
    """200 with the round at its next version; a reason is needed as for every edit."""
    await open_round(console.store)
    await problem(await console.http.post(f"{NIGHT}/passes/revoke", headers=ADMIN, json={}), 422, "invalid_round")
    document = await good(await console.http.post(f"{NIGHT}/passes/revoke", headers=ADMIN, json={"reason": "a leak"}))
    assert document["version"] == 2
    assert (await console.stored_round()).epoch == 1
    entry = (await _log(console))[-1]
    assert (entry["action"], entry["reason"], entry["fields"]) == ("revoke_passes", "a leak", {})


async def test_the_log_has_the_names_and_forms_of_the_api(console: Served) -> None:
    """Every edit in order: when, which version, who, what, why, and the fields as an operator would send them."""
    body = new_round(eligibility={"city": ["hangzhou"]}, pack={"vouchers": 5})
    await good(await console.http.post(ROUNDS, headers=ADMIN, json=body), 201)
    opens_at = to_rfc3339(now_ms() + HOUR_MS // 2)
    await good(await _edit(console, opens_at=opens_at, total_change=2))
    for action in ("pause", "resume", "close"):
        await good(await console.http.post(f"{NIGHT}/{action}", headers=ADMIN, json={"reason": f"to {action}"}))
    entries = await _log(console)
    assert [list(entry) for entry in entries] == [["at", "version", "who", "action", "reason", "fields"]] * 5
    assert [entry["action"] for entry in entries] == ["create", "edit", "pause", "resume", "close"]
    assert [entry["version"] for entry in entries] == [1, 2, 3, 4, 5]
    assert {entry["who"] for entry in entries} == {"admin"}
    assert all(abs(from_rfc3339(entry["at"]) - now_ms()) < HOUR_MS for entry in entries)
    assert entries[0]["fields"] == body
    assert [entry["fields"] for entry in entries[1:]] == [
        {"total": 7, "opens_at": opens_at},
        {"paused": True},
        {"paused": False},
        {"closed": True},
    ]


async def test_a_log_of_the_first_version_can_be_read(console: Served) -> None:
    """Its entries have neither action nor operator: null, and the admin, as there was no other."""
    await open_round(console.store)
    await console.store.pools.reads.xadd(
        "claimd:1:{night.0}:log",
        {"edit": "night", "version": 2, "at_ms": 1000, "reason": "old", "fields": '{"paused":"1"}'},
    )
    entry = (await _log(console))[-1]
    assert (entry["action"], entry["who"], entry["fields"]) == (None, "admin", {"paused": True})


async def test_a_round_created_by_mistake_can_be_deleted(console: Served) -> None:
    """204 without a body; then it is nowhere, and its id can be used again, with a log that goes on."""
    await good(await console.http.post(ROUNDS, headers=ADMIN, json=new_round()), 201)
    answer = await console.http.delete(NIGHT, headers=ADMIN)
    assert (answer.status, await answer.read()) == (204, b"")
    await problem(await console.http.get(NIGHT, headers=ADMIN), 404, "round_not_found")
    await problem(await console.http.get(f"{NIGHT}/log", headers=ADMIN), 404, "round_not_found")
    assert (await good(await console.http.get(ROUNDS, headers=ADMIN)))["rounds"] == []
    again = await good(await console.http.post(ROUNDS, headers=ADMIN, json=new_round(total=9)), 201)
    assert (again["total"], again["version"]) == (9, 3)
    assert [entry["action"] for entry in await _log(console)] == ["create", "delete", "create"]
    assert (await good(await console.http.get(f"{NIGHT}/audit", headers=ADMIN)))["ok"] is True


async def test_a_round_with_claims_cannot_be_deleted(console: Served) -> None:
    """409 has_claims with the number of claims and with what to do instead."""
    await open_round(console.store)
    await console.store.claims.claim("night", [bytes(16)])
    answer = await console.http.delete(NIGHT, headers=ADMIN, json={"reason": "gone"})
    document = await problem(answer, 409, "has_claims")
    assert document["issued"] == 1
    assert "close" in document["detail"]
    assert (await console.stored_round()).issued == 1
