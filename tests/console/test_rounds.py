"""Creating, editing, pausing, resuming and closing rounds: who may, what is answered, and what comes of it."""

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from claimd.domain.log import EditEntry
from claimd.domain.times import HOUR_MS, to_rfc3339
from tests.http import serving
from tests.http.answers import OPERATOR_ROUND_FIELDS, TIME, good, problem
from tests.http.serving import ADMIN, Served, open_round, with_pass
from tests.rounds import listed, now_ms
from tests.servers import Server

ROUNDS = "/admin/v1/rounds"
NIGHT = f"{ROUNDS}/night"
CLAIMS = "/v1/rounds/night/claims"


def new_round(**fields: Any) -> dict[str, Any]:
    """A body that creates an open round."""
    window = {"opens_at": to_rfc3339(now_ms() - HOUR_MS), "closes_at": to_rfc3339(now_ms() + HOUR_MS)}
    return {"id": "night", "title": "A night", "total": 5, **window, **fields}


async def _edits(served: Served) -> list[EditEntry]:
    return [entry async for entry in served.store.log_reader.log("night") if isinstance(entry, EditEntry)]


ADMIN_ROUTES = [
    ("GET", ROUNDS),
    ("POST", ROUNDS),
    ("GET", NIGHT),
    ("PATCH", NIGHT),
    ("POST", f"{NIGHT}/pause"),
    ("POST", f"{NIGHT}/resume"),
    ("POST", f"{NIGHT}/close"),
    ("GET", f"{NIGHT}/audit"),
    ("GET", f"{NIGHT}/claims"),
    ("GET", "/admin/"),
    ("GET", "/admin/v1"),
    ("GET", "/admin/v2/rounds"),
    ("DELETE", NIGHT),
    ("GET", "/%61dmin/v1/rounds"),
    ("GET", "/admin/v1/../v1/rounds"),
    ("GET", "/admin%2Fv1%2Frounds"),
]
WRONG_TOKENS = {
    "none": None,
    "empty": "",
    "no scheme": serving.ADMIN_TOKEN,
    "wrong": "Bearer wrong",
    "bare scheme": "Bearer",
    "longer": f"Bearer {serving.ADMIN_TOKEN}x",
    "shorter": f"Bearer {serving.ADMIN_TOKEN[:-1]}",
    "another case": f"Bearer {serving.ADMIN_TOKEN.upper()}",
    "another scheme": f"Basic {serving.ADMIN_TOKEN}",
    "not ASCII": f"Bearer {serving.ADMIN_TOKEN}é",
    "a pass": with_pass("ada")["Authorization"],
}


@pytest.mark.parametrize("token", WRONG_TOKENS.values(), ids=WRONG_TOKENS.keys())
async def test_every_route_under_admin_needs_the_token(console: Served, token: str | None) -> None:
    """401 on every address under /admin/, whether it exists or not; nothing is disclosed and nothing changes."""
    await open_round(console.store)
    headers = {} if token is None else {"Authorization": token}
    for method, path in ADMIN_ROUTES:
        answer = await console.http.request(method, path, headers=headers, json=new_round(id="other"))
        document = await problem(answer, 401, "unauthenticated")
        assert "night" not in str(document)
    assert [item.id for item in await listed(console.store.rounds)] == ["night"]
    assert len(await _edits(console)) == 1


@pytest.mark.parametrize("path", ["/", "/admin", "/nowhere", "/v1/rounds"])
async def test_an_unknown_address_outside_of_admin_needs_no_token(console: Served, path: str) -> None:
    """404 for addresses outside of /admin/."""
    await problem(await console.http.get(path), 404, "not_found")


async def test_unknown_addresses_and_methods_for_an_admin(console: Served) -> None:
    """404 not_found and 405 with Allow, for who may ask at all."""
    await problem(await console.http.get("/admin/v1", headers=ADMIN), 404, "not_found")
    answer = await console.http.put(NIGHT, headers=ADMIN)
    await problem(answer, 405, "method_not_allowed")
    assert {name.strip() for name in answer.headers["Allow"].split(",")} == {"DELETE", "GET", "HEAD", "PATCH"}
    answer = await console.http.get(f"{NIGHT}/pause", headers=ADMIN)
    await problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"


async def test_a_round_is_created_as_it_was_written(console: Served) -> None:
    """201 with the round, which reads the same afterwards; its creation is in the log, with all fields."""
    body = new_round(title="Nächte\u0000 \U0001f375", total=2**31, pack={"n": [1, 2.5, None, {"é": True}]})
    document = await good(await console.http.post(ROUNDS, headers=ADMIN, json=body), 201)
    assert document.keys() == OPERATOR_ROUND_FIELDS
    assert {name: document[name] for name in body} == body
    assert (document["status"], document["issued"], document["remaining"]) == ("open", 0, 2**31)
    read = await good(await console.http.get(NIGHT, headers=ADMIN))
    assert TIME.fullmatch(read.pop("server_time"))
    assert read == document
    listed = await good(await console.http.get(ROUNDS, headers=ADMIN))
    assert listed["rounds"] == [document]
    (entry,) = await _edits(console)
    assert (entry.version, entry.fields["total"], entry.fields["title"]) == (1, str(2**31), body["title"])


@pytest.mark.parametrize(("total", "status"), [("5.0", 201), ("5e2", 201), ("5.5", 422), ("true", 422)])
async def test_a_total_is_an_integer_however_it_is_written(console: Served, total: str, status: int) -> None:
    """JSON Schema counts 5.0 among the integers, and so do the clients that are generated from the documents."""
    body = json.dumps(new_round(total="TOTAL")).replace('"TOTAL"', total)
    headers = {**ADMIN, "Content-Type": "application/json"}
    answer = await console.http.post(ROUNDS, headers=headers, data=body)
    assert answer.status == status, await answer.text()
    if status == 201:
        assert (await answer.json())["total"] == int(float(total))


async def test_a_round_is_created_once(console: Served) -> None:
    """409 round_exists for the same id again; what is there stays as it is."""
    first = await good(await console.http.post(ROUNDS, headers=ADMIN, json=new_round()), 201)
    answer = await console.http.post(ROUNDS, headers=ADMIN, json=new_round(total=9, title="Another"))
    await problem(answer, 409, "round_exists")
    read = await good(await console.http.get(NIGHT, headers=ADMIN))
    assert read | {"server_time": None} == first | {"server_time": None}
    assert len(await _edits(console)) == 1


@pytest.mark.parametrize(
    "opens_at", ["2030-01-01T00:00:00Z", "2030-01-01T08:00:00+08:00", "2029-12-31t19:30:00.000-04:30"]
)
async def test_times_may_come_with_any_offset(console: Served, opens_at: str) -> None:
    """RFC 3339 in, UTC with milliseconds out."""
    body = new_round(opens_at=opens_at, closes_at="2031-01-01T00:00:00.5Z")
    document = await good(await console.http.post(ROUNDS, headers=ADMIN, json=body), 201)
    assert (document["opens_at"], document["closes_at"]) == ("2030-01-01T00:00:00.000Z", "2031-01-01T00:00:00.500Z")


CHANGES: list[dict[str, Any]] = [
    {"title": "Another"},
    {"eligibility": {"city": ["hangzhou"]}},
    {"total": 9},
    {"total": 0},
    {"opens_at": "2020-01-01T00:00:00.000Z"},
    {"closes_at": "2099-01-01T00:00:00.001Z"},
    {"opens_at": "2098-01-01T00:00:00.000Z", "closes_at": "2099-01-01T00:00:00.000Z"},
    {"pack": {}},
    {"pack": {"vouchers": 5}},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
async def test_an_edit_changes_just_that(console: Served, change: dict[str, Any]) -> None:
    """200 with the round as it is now; the log has the edit with its reason and only what was changed."""
    before = await good(await console.http.post(ROUNDS, headers=ADMIN, json=new_round()), 201)
    body = {**change, "reason": "because of “tests”"}
    after = await good(await console.http.patch(NIGHT, headers=ADMIN, json=body))
    derived = {"status", "remaining"}
    expected = {**before, **change, "version": 2}
    assert {k: v for k, v in after.items() if k not in derived} == {
        k: v for k, v in expected.items() if k not in derived
    }
    assert after["remaining"] == expected["total"]
    entry = (await _edits(console))[-1]
    assert (entry.version, entry.reason) == (2, "because of “tests”")
    assert {name.removesuffix("_ms") for name in entry.fields} == change.keys()


async def test_a_total_below_what_was_issued_is_rejected(console: Served) -> None:
    """409 total_below_issued; down to exactly what was issued is fine, and then the round is sold out."""
    await open_round(console.store, total=5)
    await console.store.claims.claim("night", [bytes([n]) * 16 for n in range(3)])
    for total in (2, 0):
        answer = await console.http.patch(NIGHT, headers=ADMIN, json={"total": total, "reason": "less"})
        await problem(answer, 409, "total_below_issued")
    assert len(await _edits(console)) == 1
    document = await good(await console.http.patch(NIGHT, headers=ADMIN, json={"total": 3, "reason": "less"}))
    assert (document["total"], document["remaining"], document["status"]) == (3, 0, "sold_out")


async def test_edits_count_for_the_next_claim_on_every_gateway(console: Served, valkey: Server) -> None:
    """Pause, resume, stock, window, and closing: both gateways apply each at once, with its reason in the log."""
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(serving.gateway(valkey.url, worker=f"w-{n}")) for n in range(2)]
        await good(await console.http.post(ROUNDS, headers=ADMIN, json=new_round(total=2)), 201)
        people = iter(range(1000))

        async def claims(code: str) -> None:
            for gateway in gateways:
                answer = await gateway.http.post(CLAIMS, headers=with_pass(f"p{next(people)}"))
                if code == "granted":
                    await good(answer, 201)
                else:
                    await problem(answer, 409, code)

        async def change(what: str, **body: Any) -> None:
            if what == "edit":
                answer = await console.http.patch(NIGHT, headers=ADMIN, json={**body, "reason": "an edit"})
            else:
                answer = await console.http.post(f"{NIGHT}/{what}", headers=ADMIN, json={"reason": f"to {what}"})
            await good(answer)

        await claims("granted")
        await claims("sold_out")
        await change("edit", total=4)
        await change("pause")
        await claims("paused")
        await change("resume")
        await claims("granted")
        await claims("sold_out")
        await change("edit", total=100, opens_at=to_rfc3339(now_ms() + HOUR_MS // 2))
        await claims("not_open")
        await change("edit", opens_at=to_rfc3339(now_ms() - HOUR_MS))
        await claims("granted")
        await change("edit", closes_at=to_rfc3339(now_ms() - HOUR_MS // 2))
        await claims("closed")
        await change("edit", closes_at=to_rfc3339(now_ms() + HOUR_MS))
        await claims("granted")
        await change("close")
        await claims("closed")
        reasons = [entry.reason for entry in await _edits(console)]
        edits = ["an edit", "to pause", "to resume", *["an edit"] * 4, "to close"]
        assert reasons[1:] == edits
        document = await good(await console.http.get(f"{NIGHT}/audit", headers=ADMIN))
        assert document["ok"] is True


@pytest.mark.parametrize(("flag", "path"), [("paused", "pause"), ("paused", "resume"), (None, "close")])
async def test_a_flag_may_be_set_twice(console: Served, flag: str | None, path: str) -> None:
    """200 each time with the round; who pauses what is paused is not wrong."""
    await open_round(console.store)
    for _ in range(2):
        document = await good(await console.http.post(f"{NIGHT}/{path}", headers=ADMIN, json={"reason": "why"}))
        assert document.keys() == OPERATOR_ROUND_FIELDS
        assert document["paused"] is (path == "pause")
        assert document["status"] == {"pause": "paused", "resume": "open", "close": "closed"}[path]


async def test_there_is_no_such_round_to_change(console: Served) -> None:
    """404 round_not_found on each route of a round; and none appears."""
    asks = [
        console.http.get(NIGHT, headers=ADMIN),
        console.http.get(f"{NIGHT}/audit", headers=ADMIN),
        console.http.get(f"{NIGHT}/claims", headers=ADMIN),
        console.http.get(f"{NIGHT}/log", headers=ADMIN),
        console.http.delete(NIGHT, headers=ADMIN),
        console.http.patch(NIGHT, headers=ADMIN, json={"total": 1, "reason": "why"}),
        *(
            console.http.post(f"{NIGHT}/{p}", headers=ADMIN, json={"reason": "why"})
            for p in ("pause", "resume", "close", "passes/revoke")
        ),
    ]
    for ask in asks:
        await problem(await ask, 404, "round_not_found")
    assert await listed(console.store.rounds) == []


async def test_eligibility_is_kept_for_the_gateways(console: Served) -> None:
    """What was written is what gateways check; the public does not see it."""
    body = new_round(eligibility={"city": ["hangzhou"], "kind": ["a", "b"]})
    document = await good(await console.http.post(ROUNDS, headers=ADMIN, json=body), 201)
    assert document.keys() == OPERATOR_ROUND_FIELDS
    kept = (await console.stored_round()).definition.eligibility
    assert kept == {"city": ["hangzhou"], "kind": ["a", "b"]}
    await good(await console.http.patch(NIGHT, headers=ADMIN, json={"eligibility": {}, "reason": "all"}))
    assert (await console.stored_round()).definition.eligibility == {}


async def test_a_lost_server_is_503_for_operators(console: Served, valkey: Server) -> None:
    """503 unavailable with Retry-After on every route but /metrics; the same requests work again when it is back."""
    await open_round(console.store)
    routes: list[tuple[str, str, Any]] = [
        ("POST", ROUNDS, new_round(id="other")),
        ("GET", ROUNDS, None),
        ("GET", NIGHT, None),
        ("PATCH", NIGHT, {"total": 7, "reason": "why"}),
        ("POST", f"{NIGHT}/pause", {"reason": "why"}),
        ("GET", f"{NIGHT}/audit", None),
        ("GET", f"{NIGHT}/claims", None),
        ("GET", f"{NIGHT}/log", None),
        ("GET", "/readyz", None),
    ]
    valkey.kill()
    for method, path, body in routes:
        answer = await console.http.request(method, path, headers=ADMIN, json=body)
        await problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    await good(await console.http.get("/healthz"))
    valkey.start()
    for method, path, body in routes:
        answer = await console.http.request(method, path, headers=ADMIN, json=body)
        assert answer.status == (201 if path == ROUNDS and method == "POST" else 200), path


@pytest.mark.parametrize(
    "path", [ROUNDS, NIGHT, f"{NIGHT}/audit", f"{NIGHT}/claims", "/metrics", "/healthz", "/readyz"]
)
async def test_head_answers_as_get_without_a_body(console: Served, path: str) -> None:
    """Status and type of GET, no body, and the next request on the connection is understood."""
    await open_round(console.store)
    await console.store.claims.claim("night", [bytes([n]) * 16 for n in range(100)])
    get = await console.http.get(path, headers=ADMIN)
    await get.read()
    head = await console.http.head(path, headers=ADMIN)
    assert (head.status, head.content_type) == (get.status, get.content_type)
    assert await head.read() == b""
    await good(await console.http.get("/healthz"))


@pytest.mark.parametrize("depth", [200, 249, 250, 251, 252, 253, 254])
async def test_every_accepted_pack_can_be_listed(console: Served, depth: int) -> None:
    """A pack is nested as deep as its round can still be listed; a deeper one is rejected, and harms no list."""
    pack: Any = "bottom"
    for _ in range(depth):
        pack = [pack]
    async with console.http.post(ROUNDS, json=new_round(pack={"a": pack}), headers=ADMIN) as answer:
        assert answer.status in (201, 400, 422)
        if answer.status == 422:
            assert (await answer.json(content_type=None))["field"] == "pack"
    async with console.http.get(ROUNDS, headers=ADMIN) as answer:
        assert answer.status == 200
