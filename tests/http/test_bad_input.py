"""Bad input on every route of both sides: a clear problem with a stable code, no traceback, and nothing has changed."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from claimd.domain.times import HOUR_MS, to_rfc3339
from claimd.http import aiohttp_door, bodies
from claimd.store.redis import keys
from tests.http.answers import checked_problem, good, problem
from tests.http.raw import connected
from tests.http.serving import ADMIN, ADMIN_TOKEN, Served, open_round, pass_for, with_pass
from tests.rounds import now_ms
from tests.servers import Server

CLAIMS = "/v1/rounds/night/claims"
ROUNDS = "/admin/v1/rounds"
NIGHT = f"{ROUNDS}/night"
JSON_HEADERS = {"Content-Type": "application/json"}


def _everything(valkey: Server) -> dict[bytes, bytes]:
    # The index of rounds may know more than there is, and is raised before an edit that may be refused.
    index = {keys.ROUNDS_CLOSING.encode(), keys.ROUNDS_OPENING.encode()}
    with valkey.client() as client:
        return {key: client.dump(key) for key in client.scan_iter() if key not in index}


@pytest.fixture(autouse=True)
async def unchanged(
    valkey: Server, gateway: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """A round with a claim, which is byte for byte the same after each of these tests; and a log without complaints."""
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(aiohttp_door, "_LINGERING_SECONDS", 0.1)
    caplog.set_level(logging.INFO)
    await open_round(gateway.store)
    await good(await gateway.http.post(CLAIMS, headers=with_pass("zoe")), 201)
    before = _everything(valkey)
    yield
    # A name of a round that was refused by the server itself may be listed; there is no round of it.
    after = _everything(valkey)
    assert after == before
    bad = [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]
    assert not bad, [record.getMessage() for record in bad]


@pytest.fixture(params=["gateway", "console"])
def side(request: pytest.FixtureRequest) -> Served:
    """Each of the two sides."""
    served: Served = request.getfixturevalue(request.param)
    return served


# --- bodies ------------------------------------------------------------------------------------------------------

NO_JSON = {
    "cut off": b'{"reason":',
    "text": b"reason",
    "two objects": b"{}{}",
    "trailing comma": b'{"reason":"a",}',
    "single quotes": b"{'reason':'a'}",
    "not UTF-8": b'{"reason":"\xff"}',
    "UTF-16": '{"reason":"a"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"reason":"a"}',
    "control character": b'{"reason":"\x01"}',
    "same name twice": b'{"reason":"a","reason":"a"}',
    "same name twice, escaped": b'{"reason":"a","r\\u0065ason":"b"}',
    "same name twice, deep": b'{"reason":"a","pack":{"a":1,"a":1}}',
    "NaN": b'{"reason":"a","pack":{"a":NaN}}',
    "infinity": b'{"reason":"a","pack":{"a":-Infinity}}',
    "10^400 as an integer": b'{"reason":"a","pack":{"a":1' + b"0" * 400 + b"}}",
    "10^400 as a float": b'{"reason":"a","pack":{"a":1e400}}',
    "5000 digits": b'{"reason":"a","pack":{"a":' + b"9" * 3900 + b"}}",
    "2^64": b'{"reason":"a","pack":{"a":18446744073709551616}}',
    "deep list": b'{"reason":"a","pack":{"a":' + b"[" * 1900 + b"]" * 1900 + b"}}",
    "deep object": b'{"a":' * 500 + b"1" + b"}" * 500,
    "open brackets": b"[" * 4000,
    "half a character": b'{"reason":"\\ud800"}',
    "half a character in a name": b'{"\\udfff":"a"}',
    "list": b"[]",
    "string": b'"reason"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
    "blanks": b"   ",
    "zero byte": b"\0",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
async def test_a_body_that_is_no_json_object_is_rejected(gateway: Served, console: Served, body: bytes) -> None:
    """400 bad_request on every route that takes a body."""
    asks = [
        gateway.http.post(CLAIMS, data=body, headers=JSON_HEADERS | with_pass("ada")),
        console.http.post(ROUNDS, data=body, headers=JSON_HEADERS | ADMIN),
        console.http.patch(NIGHT, data=body, headers=JSON_HEADERS | ADMIN),
        *(console.http.post(f"{NIGHT}/{verb}", data=body, headers=JSON_HEADERS | ADMIN) for verb in ("pause", "close")),
    ]
    for ask in asks:
        document = await problem(await ask, 400, "bad_request")
        assert document["detail"]


async def test_unknown_fields_are_rejected(gateway: Served, console: Served) -> None:
    """422 naming the field, on both sides and on each route."""
    answer = await gateway.http.post(CLAIMS, json={"sub": "eve"}, headers=with_pass("ada"))
    assert (await problem(answer, 422, "bad_request"))["field"] == "sub"
    for method, path, body in (
        ("POST", ROUNDS, _new_round()),
        ("PATCH", NIGHT, {"total": 1, "reason": "why"}),
        ("POST", f"{NIGHT}/pause", {"reason": "why"}),
        ("POST", f"{NIGHT}/resume", {"reason": "why"}),
        ("POST", f"{NIGHT}/close", {"reason": "why"}),
    ):
        for name in ("Total", "totals", "issued", "version", "paused", "total ", "é", "", "__class__", "total\0"):
            answer = await console.http.request(method, path, json={**body, name: 5}, headers=ADMIN)
            assert (await problem(answer, 422, "invalid_round"))["field"] == name
    answer = await console.http.patch(NIGHT, json={"id": "other", "reason": "why"}, headers=ADMIN)
    assert (await problem(answer, 422, "invalid_round"))["field"] == "id"
    answer = await console.http.post(ROUNDS, json={**_new_round(), "reason": "why"}, headers=ADMIN)
    assert (await problem(answer, 422, "invalid_round"))["field"] == "reason"


def _new_round(**fields: Any) -> dict[str, Any]:
    window = {"opens_at": to_rfc3339(now_ms()), "closes_at": to_rfc3339(now_ms() + HOUR_MS)}
    return {"id": "other", "title": "Other", "total": 5, **window, **fields}


def _with_each(name: str, *values: Any) -> list[tuple[str, Any]]:
    return [(name, value) for value in values]


LATE = "2099-01-01T00:00:00Z"
NO_VALUES: list[tuple[str, Any]] = [
    *_with_each("title", "", "a" * 201, "é" * 201, None, 5, True, ["a"], {}),
    *_with_each("total", -1, 2**31 + 1, 2**63, True, False, 5.5, "5", None, [], {}, -5.0, 1e300),
    *_with_each("pack", None, [], "{}", 5, True, {"a": "x" * 4096}, {"x" * 4096: 1}, {"a": "é" * 2050}),
    *_with_each(
        "eligibility",
        None,
        [],
        "city",
        {"city": "hangzhou"},
        {"city": []},
        {"city": [None]},
        {"city": [["a"]]},
        {"city": [{}]},
        {"city": None},
        {"": ["a"]},
        {"a" * 513: ["a"]},
        {"city": ["a" * 513]},
        {"city": [2**63]},
        {"city": [-1e300]},
        {"city": [1] * 1001},
        {f"city{number}": ["a"] for number in range(33)},
    ),
    *[
        (name, value)
        for name in ("opens_at", "closes_at")
        for value in (
            None,
            0,
            4_000_000_000_000,
            True,
            "",
            "tomorrow",
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2030-01-01 00:00:00Z",
            "2030-01-01T00:00:00.0001Z",
            "2030-13-01T00:00:00Z",
            "2030-02-30T00:00:00Z",
            "2030-01-01T24:00:01Z",
            "2030-01-01T00:00:60Z",
            "2030-01-01T00:00:00+24:00",
            "2030-01-01T00:00:00Z ",
            "2030-01-01T00:00:00Z\n",
            "1969-12-31T23:59:59.999Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-01:00",
            "10000-01-01T00:00:00Z",
            "2030-01-01T00:00:00,5Z",
            "２０30-01-01T00:00:00Z",  # noqa: RUF001 - digits that are none
        )
    ],
]


@pytest.mark.parametrize(("name", "value"), NO_VALUES, ids=lambda item: repr(item)[:32])
async def test_values_out_of_range_are_rejected(console: Served, name: str, value: Any) -> None:
    """422 invalid_round naming the field, when creating and when editing."""
    for answer in (
        await console.http.post(ROUNDS, json=_new_round(**{name: value}), headers=ADMIN),
        await console.http.patch(NIGHT, json={name: value, "reason": "why"}, headers=ADMIN),
    ):
        document = await problem(answer, 422, "invalid_round")
        assert document["field"].partition(".")[0] == name
        assert document["detail"]


BAD_IDS = [
    "",
    "A",
    "Night",
    "-a",
    "a_b",
    "a b",
    "a/b",
    "a\0",
    "a\n",
    "é",
    "a" * 65,
    ".",
    "{a}",
    "a.0}:log",
    5,
    None,
    True,
]


@pytest.mark.parametrize("round_id", BAD_IDS, ids=lambda item: repr(item)[:16])
async def test_a_round_needs_an_id_of_the_right_form(console: Served, round_id: Any) -> None:
    """422 invalid_round naming the id."""
    answer = await console.http.post(ROUNDS, json=_new_round(id=round_id), headers=ADMIN)
    assert (await problem(answer, 422, "invalid_round"))["field"] == "id"


@pytest.mark.parametrize("name", ["id", "title", "total", "opens_at", "closes_at"])
async def test_a_field_that_is_missing_is_named(console: Served, name: str) -> None:
    """422 invalid_round naming the field."""
    body = _new_round()
    del body[name]
    answer = await console.http.post(ROUNDS, json=body, headers=ADMIN)
    assert (await problem(answer, 422, "invalid_round"))["field"] == name


@pytest.mark.parametrize("reason", [None, "", 5, True, ["why"], "a" * 1001, "missing"])
async def test_an_edit_needs_a_reason(console: Served, reason: Any) -> None:
    """422 naming the reason, for every change there is."""
    said = {} if reason == "missing" else {"reason": reason}
    asks = [
        console.http.patch(NIGHT, json={"total": 7, **said}, headers=ADMIN),
        *(console.http.post(f"{NIGHT}/{verb}", json=said, headers=ADMIN) for verb in ("pause", "resume", "close")),
    ]
    for ask in asks:
        assert (await problem(await ask, 422, "invalid_round"))["field"] == "reason"


@pytest.mark.parametrize("path", [f"{NIGHT}/pause", f"{NIGHT}/resume", f"{NIGHT}/close"])
async def test_no_body_at_all_has_no_reason(console: Served, path: str) -> None:
    """422 naming what is missing."""
    assert (await problem(await console.http.post(path, headers=ADMIN), 422, "invalid_round"))["field"] == "reason"


async def test_an_edit_of_nothing_is_rejected(console: Served) -> None:
    """A reason alone changes nothing."""
    answer = await console.http.patch(NIGHT, json={"reason": "why"}, headers=ADMIN)
    await problem(answer, 422, "invalid_round")


@pytest.mark.parametrize("minus_ms", [0, 1, HOUR_MS])
async def test_a_window_ends_after_it_begins(console: Served, minus_ms: int) -> None:
    """422 naming closes_at, when creating, and when an edit of either side or both would end it too early."""
    current = (await console.stored_round()).definition
    at = now_ms() + 10 * HOUR_MS
    window = {"opens_at": to_rfc3339(at), "closes_at": to_rfc3339(at - minus_ms)}
    bodies_of_edits: list[dict[str, Any]] = [
        window,
        {"opens_at": to_rfc3339(current.closes_at_ms + minus_ms)},
        {"closes_at": to_rfc3339(current.opens_at_ms - minus_ms)},
        {"closes_at": to_rfc3339(current.opens_at_ms - minus_ms), "title": "not this either", "total": 9},
    ]
    answer = await console.http.post(ROUNDS, json=_new_round(**window), headers=ADMIN)
    assert (await problem(answer, 422, "invalid_round"))["field"] == "closes_at"
    for body in bodies_of_edits:
        answer = await console.http.patch(NIGHT, json={**body, "reason": "why"}, headers=ADMIN)
        assert (await problem(answer, 422, "invalid_round"))["field"] == "closes_at"


# --- addresses ---------------------------------------------------------------------------------------------------

ODD_IDS = [
    "NIGHT",
    "Night",
    "a" * 65,
    "-night",
    "night%00",
    "night%0A",
    "night%2F",
    "night%20",
    "n%C3%AFght",
    "%ED%A0%80",
    "%FF",
    "%",
    "%zz",
    "night.",
    "..%2Fnight",
    "night;a",
    "%7Bnight%7D",
    "night%2e",
    "*",
]


@pytest.mark.parametrize("round_id", ODD_IDS)
async def test_ids_of_wrong_form_name_no_round(gateway: Served, console: Served, round_id: str) -> None:
    """404 on every route that names a round, or 401 or 400 where it cannot even be asked; never the round `night`."""
    for port, method, path, who in (
        (gateway.port, "GET", f"/v1/rounds/{round_id}", ""),
        (gateway.port, "POST", f"/v1/rounds/{round_id}/claims", f"Pass {pass_for('ada')}"),
        (gateway.port, "GET", f"/v1/rounds/{round_id}/claims/me", f"Pass {pass_for('zoe')}"),
        (gateway.port, "POST", f"/v1/rounds/{round_id}/passes", ""),
        (console.port, "GET", f"{ROUNDS}/{round_id}", f"Bearer {ADMIN_TOKEN}"),
        (console.port, "GET", f"{ROUNDS}/{round_id}/audit", f"Bearer {ADMIN_TOKEN}"),
        (console.port, "GET", f"{ROUNDS}/{round_id}/claims", f"Bearer {ADMIN_TOKEN}"),
    ):
        async with connected(port) as raw:
            await raw.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {who}\r\n\r\n".encode())
            answer = await raw.answer()
            assert answer.status in (400, 401, 404), answer
            checked_problem(answer.status, answer.headers["content-type"], answer.body, answer.document["code"])
            if answer.status == 401:
                assert who.startswith("Pass") or path.endswith("/passes")


@pytest.mark.parametrize("round_id", ["NIGHT", "a" * 65, "night%2F", "n%C3%AFght"])
async def test_an_edit_of_an_id_of_wrong_form_names_no_round(console: Served, round_id: str) -> None:
    """404 for changes, too."""
    for method, rest, body in (
        ("PATCH", "", {"total": 7, "reason": "why"}),
        ("POST", "/pause", {"reason": "why"}),
        ("POST", "/close", {"reason": "why"}),
    ):
        async with connected(console.port) as raw:
            text = json.dumps(body).encode()
            length = f"Content-Length: {len(text)}"
            await raw.send(_head(method, f"{ROUNDS}/{round_id}{rest}", f"Bearer {ADMIN_TOKEN}", length) + text)
            answer = await raw.answer()
            assert (answer.status, answer.document["code"]) == (404, "round_not_found")


# --- sizes and pace ----------------------------------------------------------------------------------------------


def _head(method: str, path: str, who: str, *fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: {who}", "Content-Type: application/json", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


TAKERS = {
    "claim": ("gateway", "POST", CLAIMS, 4096),
    "pause": ("console", "POST", f"{NIGHT}/pause", 16_384),
    "create": ("console", "POST", ROUNDS, 16_384),
    "edit": ("console", "PATCH", NIGHT, 16_384),
}


@pytest.fixture(params=list(TAKERS.values()), ids=list(TAKERS))
def taker(request: pytest.FixtureRequest) -> tuple[int, str, str, str, int]:
    """Port, method, path, credentials and the largest body of each route that takes one."""
    side, method, path, limit = request.param
    who = f"Pass {pass_for('ada')}" if side == "gateway" else f"Bearer {ADMIN_TOKEN}"
    return request.getfixturevalue(side).port, method, path, who, limit


async def _refused(raw: Any, status: int, code: str, limit: int | None = None) -> None:
    answer = await raw.answer()
    assert answer.status == status, answer
    document = checked_problem(status, answer.headers["content-type"], answer.body, code)
    if limit is not None:
        assert f"at most {limit:,} bytes" in document["detail"]


async def test_a_large_body_is_rejected_by_its_length(taker: tuple[int, str, str, str, int]) -> None:
    """413 as soon as the length is known, before any of the body has arrived."""
    port, method, path, who, limit = taker
    for length in (limit + 1, 10**9, 2**63):
        async with connected(port) as raw:
            await raw.send(_head(method, path, who, f"Content-Length: {length}"))
            await _refused(raw, 413, "too_large", limit)


async def test_a_large_body_is_rejected_by_counting(taker: tuple[int, str, str, str, int]) -> None:
    """413 once there is more of a chunked body than may be, and an end is not waited for."""
    port, method, path, who, limit = taker
    async with connected(port) as raw:
        await raw.send(_head(method, path, who, "Transfer-Encoding: chunked"))
        await raw.send(b"%x\r\n%b\r\n" % (limit + 1, b" " * (limit + 1)))
        await _refused(raw, 413, "too_large", limit)


async def test_an_endless_body_is_cut_off(taker: tuple[int, str, str, str, int]) -> None:
    """413, and the connection of a client that goes on sending is closed."""
    port, method, path, who, _ = taker
    async with connected(port) as raw:
        await raw.send(_head(method, path, who, "Transfer-Encoding: chunked"))

        async def pour() -> None:
            while await raw.send(b"400\r\n" + b" " * 1024 + b"\r\n"):
                pass

        pouring = asyncio.create_task(pour())
        await _refused(raw, 413, "too_large")
        await asyncio.wait_for(pouring, 15)


async def test_a_body_of_the_largest_size_is_read(taker: tuple[int, str, str, str, int]) -> None:
    """A body of exactly the limit is not too large: it is rejected for its content."""
    port, method, path, who, limit = taker
    body = b'{"a":"' + b"x" * (limit - 8) + b'"}'
    async with connected(port) as raw:
        await raw.send(_head(method, path, who, f"Content-Length: {len(body)}") + body)
        answer = await raw.answer()
        assert answer.status == 422


@pytest.mark.parametrize("framing", ["Content-Length: 20", "Transfer-Encoding: chunked"])
async def test_a_stalled_body_is_rejected(taker: tuple[int, str, str, str, int], framing: str) -> None:
    """400 bad_request after a while, and the connection is closed: it is unknown where the next request would begin."""
    port, method, path, who, _ = taker
    async with connected(port) as raw:
        await raw.send(_head(method, path, who, framing) + b"2\r\n{")
        await _refused(raw, 400, "bad_request")
        assert await raw.has_ended()


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_forgotten(
    taker: tuple[int, str, str, str, int], gateway: Served
) -> None:
    """Nothing is logged and nothing happens; the next one is served."""
    port, method, path, who, _ = taker
    for part in (b"", b'{"rea'):
        async with connected(port) as raw:
            await raw.send(_head(method, path, who, "Content-Length: 20") + part)
    async with connected(port) as raw:
        await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await raw.answer()
        assert answer.status == 200


# --- HTTP --------------------------------------------------------------------------------------------------------

PASS = f"Pass {pass_for('ada')}".encode()
CLAIM_LINE = b"POST /v1/rounds/night/claims HTTP/1.1\r\n"
CREATE = json.dumps(_new_round()).encode()
CREATE_LINE = b"POST /admin/v1/rounds HTTP/1.1\r\nContent-Type: application/json\r\n"
NO_HTTP = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n",
    "zeros": b"\0" * 100 + b"\r\n\r\n",
    "words": b"hello\r\n\r\n",
    "unknown method": b"CLAIM /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\n\r\n",
    "small letters": b"post /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\n\r\n",
    "no version": b"GET /healthz HTTP\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.7": b"GET /healthz HTTP/3.7\r\nHost: x\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "bare line feed after a header": b"GET /healthz HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    "blank before the colon": b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
    "folded header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "zero in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "header without a name": b"GET /healthz HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n",
    "header without a colon": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX\r\n\r\n",
    "huge address": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "huge header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two hosts alike": b"GET /healthz HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n",
    "two credentials": CLAIM_LINE + b"Host: x\r\nAuthorization: " + PASS + b"\r\nAuthorization: " + PASS + b"\r\n\r\n",
    "two content types": CREATE_LINE + b"Host: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": CREATE_LINE + b"Host: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "two lengths alike": CREATE_LINE + b"Host: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "length and chunked": CREATE_LINE + b"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": CREATE_LINE + b"Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "chunked twice": CREATE_LINE + b"Host: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked, not last": CREATE_LINE + b"Host: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "unknown transfer": CREATE_LINE + b"Host: x\r\nTransfer-Encoding: wagon\r\n\r\n0\r\n\r\n",
    "negative length": CREATE_LINE + b"Host: x\r\nContent-Length: -1\r\n\r\n",
    "length with a sign": CREATE_LINE + b"Host: x\r\nContent-Length: +2\r\n\r\n{}",
    "length is a word": CREATE_LINE + b"Host: x\r\nContent-Length: two\r\n\r\n{}",
    "length beyond all numbers": CREATE_LINE + b"Host: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    "websocket of old": b"GET /healthz HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key1: 1\r\n\r\n",
    "expectation that is no text": b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: \x80 100-continue\r\n\r\n",
    "expectation that is no text, nowhere": b"GET /nowhere HTTP/1.1\r\nHost: x\r\nExpect: \xa0100-continue\r\n\r\n",
    "unknown expectation": b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n",
}


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP.keys())
async def test_bytes_that_are_no_http_are_rejected(side: Served, data: bytes) -> None:
    """400 bad_request on both sides, whole and byte by byte; never silence, never a traceback."""
    pieces = [data[at : at + 1] for at in range(len(data))] if len(data) < 200 else [data[:100], data[100:]]
    for parts in ([data], pieces):
        async with connected(side.port) as raw:
            for part in parts:
                await raw.send(part)
                await asyncio.sleep(0)
            answer = await raw.answer()
            assert answer.status in (400, 401), answer
            checked_problem(answer.status, answer.headers["content-type"], answer.body, answer.document["code"])


BAD_CHUNKS = [
    b"x\r\n",
    b"-1\r\n",
    b"2\r\n{}x",
    b"2\n{}\n0\n\n",
    b"fffffffffffffffff\r\n",
    b"0x2\r\n{}\r\n0\r\n\r\n",
    b" 2\r\n{}\r\n",
]


@pytest.mark.parametrize("chunks", BAD_CHUNKS, ids=repr)
async def test_malformed_chunks_are_rejected(taker: tuple[int, str, str, str, int], chunks: bytes) -> None:
    """400 bad_request, and the connection is closed."""
    port, method, path, who, _ = taker
    head = _head(method, path, who, "Transfer-Encoding: chunked")
    for parts in ([head + chunks], [head, chunks]):
        async with connected(port) as raw:
            for part in parts:
                await raw.send(part)
                await asyncio.sleep(0)
            await _refused(raw, 400, "bad_request")
            assert await raw.has_ended()


@pytest.mark.parametrize("path", [CLAIMS, "/v1/rounds/night/passes"])
async def test_a_smuggled_request_is_not_seen(gateway: Served, path: str) -> None:
    """What follows a request of doubtful length is never taken for a request."""
    inner = CLAIM_LINE + b"Host: x\r\nAuthorization: " + PASS + b"\r\n\r\n"
    doubtful = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode()
    )
    async with connected(gateway.port) as raw:
        await raw.send(doubtful + inner)
        await _refused(raw, 400, "bad_request")
        assert await raw.has_ended()


async def test_a_head_for_the_export_has_no_body_on_the_wire(console: Served) -> None:
    """HEAD of a streamed answer: the bytes after its head belong to the next answer."""
    head = f"HEAD {NIGHT}/claims HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n".encode()
    async with connected(console.port) as raw:
        await raw.send(head)
        answer = await raw.answer(bodiless=True)
        assert answer.status == 200
        await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        following = await raw.answer()
        assert following.document == {"status": "ok"}


async def test_no_value_is_interpreted_by_the_server(console: Served, valkey: Server) -> None:
    """Words that mean something to the server or to Lua are only ever values."""
    title = "'; return redis.call('FLUSHALL') --\r\n*1\r\n$8\r\nFLUSHALL\r\n"
    with valkey.client() as client:
        before = _everything(valkey)
        document = await good(await console.http.post(ROUNDS, json=_new_round(title=title), headers=ADMIN), 201)
        assert document["title"] == title
        _forget(client, "other")
        assert _everything(valkey) == before


def _forget(client: redis.Redis, round_id: str) -> None:
    client.delete(f"claimd:1:{{{round_id}.0}}:round:{round_id}", f"claimd:1:{{{round_id}.0}}:log")
    client.srem("claimd:1:rounds", round_id)
