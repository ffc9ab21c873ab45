"""Every public route, and every code that it may answer, as a client sees them."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from claimd.domain.claims import claim_id
from claimd.domain.log import EditAction
from claimd.domain.times import HOUR_MS, from_rfc3339, to_rfc3339
from claimd.engine.batcher import BatchLimits
from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.identity.passes import PASS_CHARACTERS, Passes
from tests.http import serving
from tests.http.answers import CLAIM_FIELDS, ROUND_FIELDS, TIME, good, problem
from tests.http.serving import KEYS, Served, open_round, pass_for, with_bearer, with_pass
from tests.identity.identity_provider import token
from tests.patience import PATIENCE_SECONDS
from tests.rounds import now_ms
from tests.servers import Server

CLAIMS = "/v1/rounds/night/claims"
ME = "/v1/rounds/night/claims/me"
PASSES = "/v1/rounds/night/passes"
REFUSING_ROUNDS = {
    "paused": {},
    "sold_out": {"total": 0},
    "closed": {"opens_at_ms": 1000, "closes_at_ms": 2000},
    "not_open": {"opens_at_ms": now_ms() + 90 * 60_000, "closes_at_ms": now_ms() + 2 * HOUR_MS},
}


def _is_now(text: str) -> bool:
    return TIME.fullmatch(text) is not None and abs(from_rfc3339(text) - now_ms()) < 60_000


async def _refusing(gateway: Served, code: str) -> None:
    fields: dict[str, Any] = {"total": 5, **REFUSING_ROUNDS[code]}
    await open_round(gateway.store, **fields)
    if code == "paused":
        await gateway.store.rounds.round_edit("night", {"paused": True}, "a test")


async def test_a_round_has_exactly_its_fields(gateway: Served) -> None:
    """GET /v1/rounds/{id}: all fields and no other, with the server's time."""
    definition = await open_round(gateway.store, total=7, title="Nächte", pack={"vouchers": 5, "deep": [{"é": None}]})
    await gateway.http.post(CLAIMS, headers=with_pass("ada"))
    answer = await gateway.http.get("/v1/rounds/night")
    document = await good(answer)
    assert _is_now(document.pop("server_time"))
    assert document.keys() == ROUND_FIELDS
    assert document == {
        "id": "night",
        "title": "Nächte",
        "status": "open",
        "total": 7,
        "issued": 1,
        "remaining": 6,
        "opens_at": to_rfc3339(definition.opens_at_ms),
        "closes_at": to_rfc3339(definition.closes_at_ms),
        "paused": False,
        "pack": {"vouchers": 5, "deep": [{"é": None}]},
    }
    assert TIME.fullmatch(document["opens_at"])
    assert TIME.fullmatch(document["closes_at"])


async def test_all_rounds_are_listed(gateway: Served) -> None:
    """GET /v1/rounds: each round as it is by itself; none at first."""
    document = await good(await gateway.http.get("/v1/rounds"))
    assert document["rounds"] == []
    assert _is_now(document["server_time"])
    for round_id in ("b", "a-2", "0"):
        await open_round(gateway.store, round_id)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (document := await good(await gateway.http.get("/v1/rounds")))["rounds"]:
            # The list may be 50 ms old.
            pass
    document = await good(await gateway.http.get("/v1/rounds?limit=100"))
    assert document.keys() == {"rounds", "next", "server_time"}
    assert {item["id"] for item in document["rounds"]} == {"b", "a-2", "0"}
    assert all(item.keys() == ROUND_FIELDS for item in document["rounds"])


@pytest.mark.parametrize(("code", "status"), [(c, "scheduled" if c == "not_open" else c) for c in REFUSING_ROUNDS])
async def test_the_status_of_a_round_is_derived(gateway: Served, code: str, status: str) -> None:
    """Each status follows from the clock, the flags and the counters."""
    await _refusing(gateway, code)
    document = await good(await gateway.http.get("/v1/rounds/night"))
    assert document["status"] == status
    assert document["paused"] is (status == "paused")


async def test_a_claim_is_granted_once_and_replayed_ever_after(gateway: Served) -> None:
    """201 with the claim, then 200 with the very same claim; claims/me has it, too."""
    await open_round(gateway.store)
    first = await good(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 201)
    assert first.keys() == {"claim", "replayed"}
    assert first["claim"].keys() == CLAIM_FIELDS
    assert first["replayed"] is False
    assert (first["claim"]["round"], first["claim"]["serial"]) == ("night", 1)
    assert first["claim"]["id"] == claim_id("night", 1)
    assert _is_now(first["claim"]["claimed_at"])
    for headers in (with_pass("ada"), with_bearer(token("ada"))):
        again = await good(await gateway.http.post(CLAIMS, headers=headers), 200)
        assert again == {"claim": first["claim"], "replayed": True}
        assert await good(await gateway.http.get(ME, headers=headers)) == {"claim": first["claim"]}


@pytest.mark.parametrize("code", ["sold_out", "paused", "closed_by_hand", "closed_by_clock"])
async def test_a_claim_is_replayed_in_every_state_of_the_round(gateway: Served, code: str) -> None:
    """200 with the same claim also when sold out, paused and closed, by both doors; a stranger is refused."""
    await open_round(gateway.store, total=1 if code == "sold_out" else 5)
    first = await good(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 201)
    edits: dict[str, dict[str, Any]] = {
        "paused": {"paused": True},
        "closed_by_hand": {"closed": True},
        "closed_by_clock": {"closes_at_ms": now_ms() - 1000},
    }
    if code in edits:
        await gateway.store.rounds.round_edit("night", edits[code], "a test")
    for headers in (with_pass("ada"), with_bearer(token("ada")), {**with_pass("ada"), "Connection": "close"}):
        again = await good(await gateway.http.post(CLAIMS, headers=headers), 200)
        assert again == {"claim": first["claim"], "replayed": True}
    await problem(await gateway.http.post(CLAIMS, headers=with_pass("bob")), 409, code.partition("_by")[0])


@pytest.mark.parametrize("code", REFUSING_ROUNDS)
@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
@pytest.mark.parametrize("credentials", ["pass", "bearer"])
async def test_each_state_of_a_round_rejects_a_claim(
    valkey: Server, jwks: Path, code: str, door: Any, credentials: str
) -> None:
    """409 with the reason, by each door and with each kind of credentials; nothing is granted."""
    async with serving.gateway(valkey.url, jwks=jwks, door=door) as gateway:
        await _refusing(gateway, code)
        headers = with_pass("ada") if credentials == "pass" else with_bearer(token("ada"))
        answer = await gateway.http.post(CLAIMS, headers=headers)
        document = await problem(answer, 409, code)
        if code == "not_open":
            opens_at_ms = REFUSING_ROUNDS["not_open"]["opens_at_ms"]
            assert document["opens_at"] == to_rfc3339(opens_at_ms)
            # Whole seconds, rounded up: after them the round is open.
            seconds = int(answer.headers["Retry-After"])
            assert 0 <= now_ms() + seconds * 1000 - opens_at_ms < 60_000
        else:
            assert "Retry-After" not in answer.headers
            assert "opens_at" not in document
        await problem(await gateway.http.get(ME, headers=headers), 404, "not_claimed")
        assert (await gateway.stored_round()).issued == 0


async def test_not_claimed_yet(gateway: Served) -> None:
    """claims/me of a person without a claim is 404 not_claimed; another person's claim does not show."""
    await open_round(gateway.store)
    await gateway.http.post(CLAIMS, headers=with_pass("ada"))
    await problem(await gateway.http.get(ME, headers=with_pass("bob")), 404, "not_claimed")


@pytest.mark.parametrize("kind", ["scheduled", "open", "closed"])
async def test_a_pass_is_issued_and_good_for_a_claim(gateway: Served, kind: str) -> None:
    """201 with a pass, also before the round opens; it outlives the round, and claims as its bearer."""
    window: dict[str, Any] = {
        "scheduled": REFUSING_ROUNDS["not_open"],
        "open": {},
        "closed": REFUSING_ROUNDS["closed"],
    }[kind]
    definition = await open_round(gateway.store, **window)
    document = await good(await gateway.http.post(PASSES, headers=with_bearer(token("ada"))), 201)
    assert document.keys() == {"pass", "expires_at"}
    assert TIME.fullmatch(document["expires_at"])
    assert from_rfc3339(document["expires_at"]) > max(definition.closes_at_ms, now_ms())
    claimed = await gateway.http.post(CLAIMS, headers={"Authorization": f"Pass {document['pass']}"})
    if kind == "open":
        first = await good(claimed, 201)
        assert await good(await gateway.http.post(CLAIMS, headers=with_bearer(token("ada")))) == {
            "claim": first["claim"],
            "replayed": True,
        }
    else:
        await problem(claimed, 409, "not_open" if kind == "scheduled" else "closed")


async def test_a_pass_of_a_round_at_the_end_of_time(gateway: Served) -> None:
    """Passes of a round that never ends expire at the last time that RFC 3339 can spell."""
    await open_round(gateway.store, closes_at_ms=253_402_300_799_999)
    document = await good(await gateway.http.post(PASSES, headers=with_bearer(token("ada"))), 201)
    assert document["expires_at"] == "9999-12-31T23:59:59.999Z"


async def test_identities_are_taken_byte_for_byte(gateway: Served) -> None:
    """Subjects that only look alike get a claim each, with a pass and with a token alike."""
    await open_round(gateway.store)
    subjects = ["a", "A", " a", "a ", "é", "e\u0301"]
    serials = []
    for sub in subjects:
        document = await good(await gateway.http.post(PASSES, headers=with_bearer(token(sub))), 201)
        by_pass = await gateway.http.post(CLAIMS, headers={"Authorization": f"Pass {document['pass']}"})
        serials.append((await good(by_pass, 201))["claim"]["serial"])
        by_token = await gateway.http.post(CLAIMS, headers=with_bearer(token(sub)))
        assert (await good(by_token, 200))["claim"]["serial"] == serials[-1]
    assert serials == [1, 2, 3, 4, 5, 6]


UNAUTHENTICATED = {
    "none": {},
    "empty": {"Authorization": ""},
    "no scheme": {"Authorization": "ada"},
    "another scheme": {"Authorization": "Basic YTpi"},
    "scheme only": {"Authorization": "Pass"},
    "scheme and a blank": {"Authorization": "Pass "},
    "bearer only": {"Authorization": "Bearer"},
    "forged pass": {"Authorization": f"Pass {'A' * PASS_CHARACTERS}"},
    "other round": with_pass("ada", "other"),
    "expired pass": {"Authorization": f"Pass {pass_for('ada', expires_at_ms=now_ms() - 1)}"},
    "pass as bearer": {"Authorization": f"Bearer {pass_for('ada')}"},
    "token as pass": {"Authorization": f"Pass {token()}"},
    "two passes": {"Authorization": f"Pass {pass_for('ada')} {pass_for('ada')}"},
    "garbage token": with_bearer("a.b.c"),
    "expired token": with_bearer(token(exp=1)),
    "no exp": with_bearer(token(without=("exp",))),
    "key that is not ours": with_bearer(token(kid="ec")),
    "empty sub": with_bearer(token("")),
    "long sub": with_bearer(token("a" * 513)),
    "half a character": with_bearer(token("\ud800")),
    "sub is a number": with_bearer(token(7)),
    "no sub": with_bearer(token(without=("sub",))),
}


@pytest.mark.parametrize("headers", UNAUTHENTICATED.values(), ids=UNAUTHENTICATED.keys())
async def test_requests_without_valid_credentials_are_401(gateway: Served, headers: dict[str, str]) -> None:
    """401 unauthenticated on every route that asks who is asking, with the schemes it takes; nothing is granted."""
    await open_round(gateway.store)
    for ask, path in ((gateway.http.post, CLAIMS), (gateway.http.get, ME), (gateway.http.post, PASSES)):
        answer = await ask(path, headers=headers)
        await problem(answer, 401, "unauthenticated")
        assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert (await gateway.stored_round()).issued == 0


async def test_a_pass_buys_no_pass(gateway: Served) -> None:
    """Passes are issued for tokens only: otherwise one would never end."""
    await open_round(gateway.store)
    await problem(await gateway.http.post(PASSES, headers=with_pass("ada")), 401, "unauthenticated")


@pytest.mark.parametrize("scheme", ["pass", "PASS", "Pass", "pAsS"])
async def test_the_scheme_is_not_case_sensitive(gateway: Served, scheme: str) -> None:
    """RFC 9110, section 11.1."""
    await open_round(gateway.store)
    answer = await gateway.http.post(CLAIMS, headers={"Authorization": f"{scheme} {pass_for('ada')}"})
    assert (await good(answer, 201))["claim"]["serial"] == 1


async def test_a_person_who_is_not_eligible_is_rejected(gateway: Served) -> None:
    """403 for a pass and for a claim with a token, by the token's claims as the round names them."""
    await open_round(gateway.store, eligibility={"city": ["hangzhou"]})
    for path in (PASSES, CLAIMS):
        await problem(await gateway.http.post(path, headers=with_bearer(token("eve"))), 403, "not_eligible")
        elsewhere = with_bearer(token("eve", city="elsewhere"))
        await problem(await gateway.http.post(path, headers=elsewhere), 403, "not_eligible")
        await good(await gateway.http.post(path, headers=with_bearer(token("ada", city="hangzhou"))), 201)
    assert (await gateway.stored_round()).issued == 1


async def test_an_edit_of_the_eligibility_counts_for_the_next_request(gateway: Served) -> None:
    """There and back again, with no delay: for a claim, for a pass that was issued before, and for whoever is let in.

    A pass for one who was shut out within the last 50 ms is outdated before it is used.
    """
    await open_round(gateway.store)
    for number, (city, eligible) in enumerate((("ningbo", False), ("hangzhou", True), ("wuhan", False))):
        headers = with_bearer(token(f"ada-{number}", city="hangzhou"))
        before = await good(
            await gateway.http.post(PASSES, headers=with_bearer(token("eve", city=_CITIES[number]))), 201
        )
        await gateway.store.rounds.round_edit("night", {"eligibility": {"city": [city]}}, "a test")
        outdated = {"Authorization": f"Pass {before['pass']}"}
        await problem(await gateway.http.post(CLAIMS, headers=outdated), 401, "pass_outdated")
        if eligible:
            await good(await gateway.http.post(PASSES, headers=headers), 201)
            await good(await gateway.http.post(CLAIMS, headers=headers), 201)
            continue
        await problem(await gateway.http.post(CLAIMS, headers=headers), 403, "not_eligible")
        answer = await gateway.http.post(PASSES, headers=headers)
        if answer.status == 201:
            at_once = {"Authorization": f"Pass {(await good(answer, 201))['pass']}"}
            await problem(await gateway.http.post(CLAIMS, headers=at_once), 401, "pass_outdated")
        else:
            await problem(answer, 403, "not_eligible")


# Who may get a pass before each edit of the test above.
_CITIES = ("anywhere", "ningbo", "hangzhou")


@pytest.mark.parametrize("state", [{}, {"paused": True}, {"closed": True}, {"total": 1}, {"opens_at_ms": 2**45}])
async def test_a_claim_is_replayed_whatever_was_edited(gateway: Served, state: dict[str, Any]) -> None:
    """200, replayed, before eligibility and epoch are looked at: with the token, with the old pass, and by a look."""
    await open_round(gateway.store, eligibility={"city": ["hangzhou"]})
    bearer = with_bearer(token("ada", city="hangzhou"))
    issued = await good(await gateway.http.post(PASSES, headers=bearer), 201)
    first = await good(await gateway.http.post(CLAIMS, headers=bearer), 201)
    window = {"closes_at_ms": 2**46} if "opens_at_ms" in state else {}
    await gateway.store.rounds.round_edit("night", {"eligibility": {"city": ["wuhan"]}, **state, **window}, "a test")
    await gateway.store.rounds.round_edit("night", {}, "a leak", action=EditAction.REVOKE_PASSES)
    for headers in (bearer, {"Authorization": f"Pass {issued['pass']}"}):
        again = await good(await gateway.http.post(CLAIMS, headers=headers), 200)
        assert again == {"claim": first["claim"], "replayed": True}
        assert await good(await gateway.http.get(ME, headers=headers), 200) == {"claim": first["claim"]}
    await problem(
        await gateway.http.post(CLAIMS, headers=with_bearer(token("eve", city="hangzhou"))), 403, "not_eligible"
    )


@pytest.mark.parametrize(
    ("cities", "granted"), [(["wuhan"], False), (["wuhan", "hangzhou"], True), (["hangzhou"], True)]
)
async def test_eligibility_that_is_edited_between_reading_and_decision(
    gateway: Served, monkeypatch: pytest.MonkeyPatch, cities: list[str], granted: bool
) -> None:
    """A bearer's claim is judged by the eligibility that holds at its decision, however often it was edited before."""
    await open_round(gateway.store, eligibility={"city": ["hangzhou"]})
    read = gateway.store.rounds.readings

    async def read_then_edited(round_ids: Sequence[str]) -> Any:
        readings = await read(round_ids)
        if cities:
            await gateway.store.rounds.round_edit("night", {"eligibility": {"city": [cities.pop(0)]}}, "a race")
        return readings

    monkeypatch.setattr(gateway.store.rounds, "readings", read_then_edited)
    answer = await gateway.http.post(CLAIMS, headers=with_bearer(token("ada", city="hangzhou")))
    assert not cities
    if granted:
        await good(answer, 201)
    else:
        await problem(answer, 403, "not_eligible")


async def test_a_pass_outlives_a_round_that_is_postponed(gateway: Served) -> None:
    """Issued for tonight, it is good a month later; the passes issued before are outdated once they are revoked."""
    month_ms = 31 * 24 * HOUR_MS
    opens_at_ms = now_ms() + HOUR_MS
    await open_round(gateway.store, opens_at_ms=opens_at_ms, closes_at_ms=opens_at_ms + HOUR_MS)
    issued = await good(await gateway.http.post(PASSES, headers=with_bearer(token("ada"))), 201)
    postponed = {"opens_at_ms": opens_at_ms + month_ms, "closes_at_ms": opens_at_ms + month_ms + HOUR_MS}
    await gateway.store.rounds.round_edit("night", postponed, "a storm")
    assert from_rfc3339(issued["expires_at"]) > postponed["closes_at_ms"]
    assert isinstance(Passes(KEYS.pass_key).verify_pass("night", issued["pass"], postponed["closes_at_ms"]), tuple)
    headers = {"Authorization": f"Pass {issued['pass']}"}
    await problem(await gateway.http.post(CLAIMS, headers=headers), 409, "not_open")
    await gateway.store.rounds.round_edit("night", {}, "a leak", action=EditAction.REVOKE_PASSES)
    await problem(await gateway.http.post(CLAIMS, headers=headers), 401, "pass_outdated")
    await problem(await gateway.http.get(ME, headers=headers), 404, "not_claimed")


async def test_there_is_no_such_round(gateway: Served) -> None:
    """404 round_not_found on every route that names a round, with credentials that are good."""
    headers = with_bearer(token("ada"))
    await problem(await gateway.http.get("/v1/rounds/night"), 404, "round_not_found")
    for ask, path in ((gateway.http.post, CLAIMS), (gateway.http.get, ME), (gateway.http.post, PASSES)):
        await problem(await ask(path, headers=headers), 404, "round_not_found")
    await problem(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 404, "round_not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/rounds/",
        "/v1/rounds/night/",
        f"{CLAIMS}/you",
        f"{ME}/",
        "/metrics",
        "/admin/v1/rounds",
        "/v2/rounds",
    ],
)
async def test_unknown_addresses_are_404(gateway: Served, path: str) -> None:
    """404 not_found for every address that is not the public API's, whatever the method."""
    await open_round(gateway.store)
    for method in ("GET", "POST", "DELETE"):
        await problem(await gateway.http.request(method, path, headers=with_pass("ada")), 404, "not_found")


ROUTES = {
    "/v1/rounds": "GET",
    "/v1/rounds/night": "GET",
    CLAIMS: "POST",
    ME: "GET",
    PASSES: "POST",
    "/healthz": "GET",
    "/readyz": "GET",
}


@pytest.mark.parametrize(("path", "allowed"), ROUTES.items())
async def test_other_methods_are_405(gateway: Served, path: str, allowed: str) -> None:
    """405 with an Allow that names the right method, for each route and every other method."""
    await open_round(gateway.store)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
        if method != allowed:
            answer = await gateway.http.request(method, path, headers=with_pass("ada"))
            await problem(answer, 405, "method_not_allowed")
            named = {name.strip() for name in answer.headers["Allow"].split(",")}
            assert named == ({"GET", "HEAD"} if allowed == "GET" else {"POST"})
    assert (await gateway.stored_round()).issued == 0


@pytest.mark.parametrize("path", [path for path, method in ROUTES.items() if method == "GET"])
async def test_head_answers_as_get_without_a_body(gateway: Served, path: str) -> None:
    """HEAD has the status, type and length of GET, and the connection goes on."""
    await open_round(gateway.store)
    await gateway.http.post(CLAIMS, headers=with_pass("ada"))
    get = await gateway.http.get(path, headers=with_pass("ada"))
    head = await gateway.http.head(path, headers=with_pass("ada"))
    assert (head.status, head.content_type) == (get.status, get.content_type) == (200, "application/json")
    assert await head.read() == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    problem_head = await gateway.http.head("/nowhere")
    assert (problem_head.status, problem_head.content_type) == (404, "application/problem+json")
    await good(await gateway.http.get("/healthz"))


@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
async def test_an_empty_object_is_no_field(gateway: Served, body: bytes) -> None:
    """Requests without fields may have an empty object as their body."""
    await open_round(gateway.store)
    headers = {"Content-Type": "application/json"}
    await good(await gateway.http.post(CLAIMS, data=body, headers=headers | with_pass("ada")), 201)
    await good(await gateway.http.post(PASSES, data=body, headers=headers | with_bearer(token("ada"))), 201)


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/problem+json", "json", "é"]
)
async def test_only_json_is_taken(gateway: Served, content_type: str | None) -> None:
    """415 for a body of another type, or of none."""
    await open_round(gateway.store)
    headers = {"Content-Type": content_type} if content_type else {}
    for path, who in ((CLAIMS, with_pass("ada")), (PASSES, with_bearer(token("ada")))):
        skip = ["Content-Type"] if content_type is None else None
        answer = await gateway.http.post(path, data=b"{}", headers=headers | who, skip_auto_headers=skip)
        await problem(answer, 415, "unsupported_media_type")
    assert (await gateway.stored_round()).issued == 0


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "nonsense"])
async def test_encoded_bodies_are_not_taken(gateway: Served, encoding: str) -> None:
    """415, before anything is unpacked."""
    await open_round(gateway.store)
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = await gateway.http.post(CLAIMS, data=b"{}", headers=headers | with_pass("ada"))
    await problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_too_many_requests_of_one_person_are_429(valkey: Server, jwks: Path, door: Any) -> None:
    """429 with Retry-After beyond the limit, on every route that knows who asks; others are not held up."""
    async with serving.gateway(valkey.url, jwks=jwks, door=door, requests_per_identity=3) as gateway:
        await open_round(gateway.store)
        for _ in range(3):
            assert (await gateway.http.post(CLAIMS, headers=with_pass("ada"))).status in (200, 201)
        for headers in (with_pass("ada"), with_bearer(token("ada"))):
            for ask, path in ((gateway.http.post, CLAIMS), (gateway.http.get, ME)):
                answer = await ask(path, headers=headers)
                await problem(answer, 429, "rate_limited")
                assert int(answer.headers["Retry-After"]) >= 1
        answer = await gateway.http.post(PASSES, headers=with_bearer(token("ada")))
        await problem(answer, 429, "rate_limited")
        await good(await gateway.http.post(CLAIMS, headers=with_pass("bob")), 201)


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_a_full_queue_is_rejected_by_admission_control(valkey: Server, door: Any) -> None:
    """503 overloaded with Retry-After; nothing is granted."""
    async with serving.gateway(valkey.url, door=door, limits=BatchLimits(max_waiting=0)) as gateway:
        await open_round(gateway.store)
        answer = await gateway.http.post(CLAIMS, headers=with_pass("ada"))
        await problem(answer, 503, "overloaded")
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await gateway.stored_round()).issued == 0


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_a_lost_server_is_503_until_it_is_back(valkey: Server, jwks: Path, door: Any) -> None:
    """503 unavailable with Retry-After on every route that needs the server; then all is as it was, by itself."""
    async with serving.gateway(valkey.url, jwks=jwks, door=door) as gateway:
        await open_round(gateway.store)
        before = await good(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 201)
        asks = [
            (gateway.http.post, CLAIMS, with_pass("ada")),
            (gateway.http.post, CLAIMS, with_bearer(token("ada"))),
            (gateway.http.get, ME, with_pass("ada")),
            (gateway.http.post, PASSES, with_bearer(token("ada"))),
            (gateway.http.get, "/v1/rounds", {}),
            (gateway.http.get, "/v1/rounds/night", {}),
            (gateway.http.get, "/readyz", {}),
        ]
        valkey.kill()
        async with asyncio.timeout(PATIENCE_SECONDS):
            # What was read within the last 50 ms still counts.
            while (await gateway.http.get("/v1/rounds/night")).status == 200:
                pass
        for ask, path, headers in asks:
            answer = await ask(path, headers=headers)
            await problem(answer, 503, "unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        await good(await gateway.http.get("/healthz"))
        valkey.start()
        for ask, path, headers in asks:
            await good(await ask(path, headers=headers), 201 if path == PASSES else 200)
        after = await good(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 200)
        assert after["claim"] == before["claim"]


async def test_healthy_and_ready(gateway: Served) -> None:
    """200 each, while the process lives and can decide claims."""
    await good(await gateway.http.get("/healthz"))
    await good(await gateway.http.get("/readyz"))


async def test_a_round_opens_by_the_clock_of_the_server(gateway: Served) -> None:
    """Nothing has to be switched: who asks again after Retry-After is served; before, the answer is not_open."""
    await open_round(gateway.store, opens_at_ms=now_ms() + 400)
    deadline = time.monotonic() + PATIENCE_SECONDS
    codes = []
    while (answer := await gateway.http.post(CLAIMS, headers=with_pass("ada"))).status != 201:
        codes.append(json.loads(await answer.read())["code"])
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert set(codes) <= {"not_open"}


async def test_many_connections_are_never_mixed_up(gateway: Served) -> None:
    """50 kept connections with 20 claims each, at once: each person gets the claim that the server holds for them."""
    await open_round(gateway.store, total=100_000)

    async def one(connection: int) -> dict[str, int]:
        told = {}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}") as session:
            for n in range(20):
                sub = f"{connection}-{n}"
                answer = await good(await session.post(CLAIMS, headers=with_pass(sub)), 201)
                told[sub] = answer["claim"]["serial"]
                # A replay, and the aiohttp side of the same connection every now and then.
                if n % 5 == 4:
                    mine = await good(await session.get(ME, headers=with_pass(sub)))
                    assert mine["claim"] == answer["claim"]
        return told

    told = {sub: serial for part in await asyncio.gather(*map(one, range(50))) for sub, serial in part.items()}
    held = {identity: claim.serial async for identity, claim in gateway.store.log_reader.claims("night")}
    assert sorted(told.values()) == list(range(1, 1001))
    assert {serving.identity_of(sub): serial for sub, serial in told.items()} == held
