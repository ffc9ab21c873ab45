"""A person's claim on the console: found by their identifier, voided once, and what all others see of it then."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from claimd.audit.archive_file import audit_archive
from claimd.contract.limits import MAX_SUBJECT_BYTES
from tests.http import serving
from tests.http.answers import good, problem
from tests.http.serving import ADMIN, KEYS, Served, open_round, with_pass
from tests.servers import Server

NIGHT = "/admin/v1/rounds/night"
CLAIMS = "/v1/rounds/night/claims"


@pytest.fixture
async def console(valkey: Server) -> AsyncIterator[Served]:
    """A console that knows the gateways' keys, and a round with two packs."""
    async with serving.console(valkey.url, keys=KEYS) as served:
        await open_round(served.store, total=2)
        yield served


@pytest.fixture
async def gateway(valkey: Server) -> AsyncIterator[Served]:
    """A gateway on the same server."""
    async with serving.gateway(valkey.url) as served:
        yield served


async def claimed(gateway: Served, sub: str, status: int = 201) -> dict[str, Any]:
    """The claim that a person gets."""
    claim: dict[str, Any] = (await good(await gateway.http.post(CLAIMS, headers=with_pass(sub)), status))["claim"]
    return claim


async def voided(console: Served, claim: str, *, bar: bool = False) -> dict[str, Any]:
    """The answer of a void that is done."""
    body = {"reason": "fraud", "bar": bar}
    return await good(await console.http.post(f"{NIGHT}/claims/{claim}/void", json=body, headers=ADMIN), 200)


async def lines(console: Served, path: str) -> list[dict[str, Any]]:
    """An answer in NDJSON."""
    answer = await console.http.get(f"{NIGHT}/{path}", headers=ADMIN)
    assert answer.status == 200
    return [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_a_claim_is_found_by_the_name_in_the_token(console: Served, gateway: Served) -> None:
    """Byte for byte: no trimming and no folding, as the gateways do."""
    claim = await claimed(gateway, "Ada 杭州")
    found = await console.http.post(f"{NIGHT}/claims/find", json={"sub": "Ada 杭州"}, headers=ADMIN)
    assert (await good(found, 200))["claim"] == claim
    for sub in ("ada 杭州", "Ada 杭州 ", "bob"):
        answer = await console.http.post(f"{NIGHT}/claims/find", json={"sub": sub}, headers=ADMIN)
        await problem(answer, 404, "not_claimed")


@pytest.mark.parametrize("sub", ["", "x" * (MAX_SUBJECT_BYTES + 1), "杭" * 171, 7, None])
async def test_a_name_that_no_token_can_have(console: Served, sub: Any) -> None:
    """422 that names the field."""
    answer = await console.http.post(f"{NIGHT}/claims/find", json={"sub": sub}, headers=ADMIN)
    assert (await problem(answer, 422, "invalid_round"))["field"] == "sub"


async def test_a_console_without_the_secret_finds_no_person(valkey: Server) -> None:
    """The problem has the reason; a claim's id is enough to void it."""
    async with serving.console(valkey.url) as served, serving.gateway(valkey.url) as gateway:
        await open_round(served.store)
        claim = await claimed(gateway, "ada")
        answer = await served.http.post(f"{NIGHT}/claims/find", json={"sub": "ada"}, headers=ADMIN)
        assert "CLAIMD_SECRET" in (await problem(answer, 503, "unavailable"))["detail"]
        assert (await voided(served, claim["id"]))["claim"] == claim


async def test_a_void_after_a_sell_out_frees_one_pack(console: Served, gateway: Served) -> None:
    """Once, however often and however many at a time ask; all see it: the round, the audit, the export, the log."""
    claim = await claimed(gateway, "ada")
    await claimed(gateway, "bob")
    await problem(await gateway.http.post(CLAIMS, headers=with_pass("eve")), 409, "sold_out")
    answers = await asyncio.gather(*(voided(console, claim["id"], bar=bool(n % 2)) for n in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["claim"] == claim
    state = await good(await console.http.get(NIGHT, headers=ADMIN), 200)
    assert (state["total"], state["issued"], state["remaining"], state["status"]) == (2, 1, 1, "open")
    assert (await claimed(gateway, "eve"))["serial"] == 3
    await problem(await gateway.http.post(CLAIMS, headers=with_pass("joe")), 409, "sold_out")
    audit = await good(await console.http.get(f"{NIGHT}/audit", headers=ADMIN), 200)
    assert audit["ok"]
    assert (audit["issued"], audit["claims"], audit["remaining"], audit["voided"]) == (2, 2, 0, 1)
    exported = await lines(console, "claims")
    assert [(line["serial"], line.get("voided_at")) for line in exported] == [
        (1, answers[0]["voided_at"]),
        (2, None),
        (3, None),
    ]
    *_, logged = await lines(console, "log")
    assert (logged["action"], logged["reason"], logged["who"]) == ("void", "fraud", "admin")
    assert logged["fields"] == {"claim": claim["id"], "barred": answers[0]["barred"]}


async def test_the_person_may_claim_again_or_is_barred(console: Served, gateway: Served) -> None:
    """403 `barred` for good; a lookup finds nothing."""
    first = await claimed(gateway, "ada")
    await voided(console, first["id"])
    await problem(await gateway.http.get(f"{CLAIMS}/me", headers=with_pass("ada")), 404, "not_claimed")
    second = await claimed(gateway, "ada")
    assert (second["serial"], second["id"] == first["id"]) == (2, False)
    assert (await voided(console, second["id"], bar=True))["barred"]
    await problem(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 403, "barred")
    await problem(await gateway.http.get(f"{CLAIMS}/me", headers=with_pass("ada")), 404, "not_claimed")
    answer = await console.http.post(f"{NIGHT}/claims/find", json={"sub": "ada"}, headers=ADMIN)
    await problem(answer, 404, "not_claimed")
    assert await claimed(gateway, "bob")
    # The first void stays what it was.
    assert not (await voided(console, first["id"], bar=True))["barred"]


@pytest.mark.parametrize("claim", ["x", "1", "%20", "night-1", "lkhliqtm7kagyvbl-1", "a" * 300, "杭"])
async def test_a_claim_that_there_is_not(console: Served, claim: str) -> None:
    """404, and nothing is changed."""
    body = {"reason": "fraud", "bar": True}
    await problem(await console.http.post(f"{NIGHT}/claims/{claim}/void", json=body, headers=ADMIN), 404, "not_claimed")
    assert (await good(await console.http.get(f"{NIGHT}/audit", headers=ADMIN), 200))["voided"] == 0


async def test_what_a_void_needs(console: Served, gateway: Served) -> None:
    """A reason, a flag that is one, a round, and an operator."""
    claim = await claimed(gateway, "ada")
    path = f"{NIGHT}/claims/{claim['id']}/void"
    for body in ({}, {"bar": True}, {"reason": ""}, {"reason": "x", "bar": 1}, {"reason": "x", "bars": True}):
        await problem(await console.http.post(path, json=body, headers=ADMIN), 422, "invalid_round")
    await problem(await console.http.post(path, json={"reason": "x"}), 401, "unauthenticated")
    for elsewhere in (f"/admin/v1/rounds/day/claims/{claim['id']}/void", "/admin/v1/rounds/NO/claims/x/void"):
        await problem(await console.http.post(elsewhere, json={"reason": "x"}, headers=ADMIN), 404, "round_not_found")
    assert await claimed(gateway, "ada", 200) == claim


async def test_an_archive_has_the_voids(console: Served, gateway: Served) -> None:
    """It is audited like the live round; the stub counts the claims that were held; a void comes too late then."""
    claim = await claimed(gateway, "ada")
    await claimed(gateway, "bob")
    await voided(console, claim["id"])
    await good(await console.http.post(f"{NIGHT}/close", json={"reason": "over"}, headers=ADMIN), 200)
    archived = await good(await console.http.post(f"{NIGHT}/archive", json={"reason": "over"}, headers=ADMIN), 200)
    assert archived["issued"] == 1
    audited = await asyncio.to_thread(audit_archive, Path(archived["file"]))
    assert audited.audit.ok
    assert (audited.audit.claims, audited.audit.voided) == (1, 1)
    answer = await console.http.post(f"{NIGHT}/claims/{claim['id']}/void", json={"reason": "late"}, headers=ADMIN)
    await problem(answer, 410, "archived")
