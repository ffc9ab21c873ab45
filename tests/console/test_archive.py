"""Archiving over HTTP: no claim is lost, nothing is removed before its file is on disk, each route names it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import redis

from claimd.audit.archive_file import AuditedFile, audit_archive
from claimd.domain.outcomes import EditOutcome
from claimd.domain.times import HOUR_MS, from_rfc3339
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.redis import keys
from tests.console.test_rounds import NIGHT, ROUNDS, new_round
from tests.http import serving
from tests.http.answers import good, problem
from tests.http.serving import ADMIN, Served, open_round, with_pass
from tests.rounds import now_ms
from tests.servers import Server

ARCHIVE = f"{NIGHT}/archive"


async def _closed_round(served: Served, claims: int = 1300, **fields: Any) -> list[dict[str, Any]]:
    """A closed round with that many claims; its export."""
    await open_round(served.store, total=2000, **fields)
    for first in range(0, claims, 512):
        people = [number.to_bytes(16, "big") for number in range(first, min(first + 512, claims))]
        await served.store.claims.claim("night", people)
    await served.store.rounds.round_edit("night", {"closed": True}, "done")
    answer = await served.http.get(f"{NIGHT}/claims", headers=ADMIN)
    return [json.loads(line) for line in (await answer.text()).splitlines()]


async def _archive(served: Served, reason: str = "over", **headers: str) -> Any:
    return await served.http.post(ARCHIVE, headers={**ADMIN, **headers}, json={"reason": reason})


def _files(served: Served) -> list[str]:
    assert served.archive_dir is not None
    return sorted(path.name for path in served.archive_dir.glob("*"))


async def _audited(path: str) -> AuditedFile:
    """The audit has a loop of its own."""
    return await asyncio.to_thread(audit_archive, Path(path))


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _lines(path: str) -> list[dict[str, Any]]:
    with gzip.open(path) as file:
        return [json.loads(line) for line in file]


def _dump(server: Server) -> dict[bytes, bytes]:
    with server.client() as client:
        return {key: client.dump(key) for key in client.keys("*")}


async def test_a_round_goes_to_a_file_with_all_that_it_had(console: Served, valkey: Server) -> None:
    """Every claim and the whole log are in the file, whose digest is the answer's; the server keeps a stub."""
    exported = await _closed_round(console)
    log = (await (await console.http.get(f"{NIGHT}/log", headers=ADMIN)).text()).splitlines()
    document = await good(await _archive(console))
    assert (document["total"], document["issued"], document["version"]) == (2000, 1300, 2)
    assert (document["who"], document["reason"], document["rewrite"]) == ("admin", "over", None)
    assert abs(from_rfc3339(document["archived_at"]) - now_ms()) < HOUR_MS
    path = Path(document["file"])
    assert _files(console) == [path.name]
    assert (_mode(path), _mode(path.parent)) == (0o600, 0o700)
    assert _digest(path) == document["sha256"]
    head, *lines, _ = _lines(document["file"])
    claims = {line["serial"]: line["identity"] for line in lines if "identity" in line}
    assert claims == {line["serial"]: line["identity"] for line in exported}
    assert [line["edit"]["action"] for line in lines if "edit" in line] == [json.loads(line)["action"] for line in log]
    assert head["round"]["definition"]["title"] == "A night"
    audited = await _audited(document["file"])
    assert audited.audit.ok
    assert (audited.audit.claims, audited.sha256, audited.round.id) == (1300, document["sha256"], "night")
    assert set(_dump(valkey)) == {keys.of_round("night").round.encode()}


async def test_every_route_of_an_archived_round_names_the_archive(console: Served, gateway: Served) -> None:
    """410 archived: operators learn the file and its digest, the public that it is over."""
    await _closed_round(console, claims=3)
    document = await good(await _archive(console))
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"total": 3000, "reason": "x"}),
        ("DELETE", "", None),
        ("POST", "/pause", {"reason": "x"}),
        ("POST", "/resume", {"reason": "x"}),
        ("POST", "/close", {"reason": "x"}),
        ("POST", "/passes/revoke", {"reason": "x"}),
        ("GET", "/log", None),
        ("GET", "/audit", None),
        ("GET", "/claims", None),
    ):
        answer = await console.http.request(method, NIGHT + rest, headers=ADMIN, json=body)
        told = await problem(answer, 410, "archived")
        assert (told["file"], told["sha256"]) == (document["file"], document["sha256"]), rest
        assert document["file"] in told["detail"]
    await problem(await console.http.post(ROUNDS, headers=ADMIN, json=new_round()), 409, "round_exists")
    assert (await good(await console.http.get(ROUNDS, headers=ADMIN)))["rounds"] == []
    assert "night" not in await (await console.http.get("/metrics")).text()
    for method, path, headers in (
        ("GET", "/v1/rounds/night", {}),
        ("POST", "/v1/rounds/night/claims", with_pass("ada")),
        ("POST", "/v1/rounds/night/claims?", with_pass("ada")),
        ("GET", "/v1/rounds/night/claims/me", with_pass("ada")),
    ):
        told = await problem(await gateway.http.request(method, path, headers=headers), 410, "archived")
        assert not {"file", "sha256", "reason", "who"} & set(told)
    assert (await good(await gateway.http.get("/v1/rounds")))["rounds"] == []


async def test_a_retry_is_safe(console: Served, valkey: Server) -> None:
    """A retry after a lost reply gets the same file and digest, and there is one file."""
    await _closed_round(console, claims=3)
    first = await good(await _archive(console))
    before = _dump(valkey)
    assert await good(await _archive(console, "once more")) == first
    assert (_dump(valkey), len(_files(console))) == (before, 1)


@pytest.mark.parametrize("archived_meanwhile", [False, True], ids=["lost before", "lost after"])
async def test_a_lost_reply_loses_neither_the_round_nor_its_file(
    console: Served, monkeypatch: pytest.MonkeyPatch, archived_meanwhile: bool
) -> None:
    """Whether the script ran or not, what holds the claims afterwards is there: the server, or the stub's own file."""
    await _closed_round(console, claims=3)
    round_archive = console.store.rounds.round_archive

    async def lost(*args: Any, **named: Any) -> Any:
        if archived_meanwhile:
            await round_archive(*args, **named)
        raise StoreUnavailable("no reply")

    monkeypatch.setattr(console.store.rounds, "round_archive", lost)
    await problem(await _archive(console), 503, "unavailable")
    left = _files(console)
    assert len(left) == 1
    monkeypatch.setattr(console.store.rounds, "round_archive", round_archive)
    document = await good(await _archive(console))
    assert (await _audited(document["file"])).sha256 == document["sha256"]
    # A file that no stub names is never removed: the lost call may be on its way still.
    assert set(left) <= set(_files(console))


async def test_a_call_that_takes_effect_late_keeps_its_file(console: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call arrives after the second has written its file: the stub names a file of that very digest."""
    await _closed_round(console, claims=3)
    round_archive, late = console.store.rounds.round_archive, []

    async def held_back(*args: Any, **named: Any) -> Any:
        late.append((args, named))
        if len(late) == 1:
            raise StoreUnavailable("on its way")
        (first_args, first_named), _ = late
        await round_archive(*first_args, **first_named)
        return await round_archive(*args, **named)

    monkeypatch.setattr(console.store.rounds, "round_archive", held_back)
    await problem(await _archive(console), 503, "unavailable")
    document = await good(await _archive(console, "again"))
    assert document["reason"] == "over"
    assert _files(console) == [Path(document["file"]).name]
    assert (await _audited(document["file"])).sha256 == document["sha256"]


async def test_where_nothing_was_done_no_file_stays(console: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refused for certain leaves the round, and no file that could be taken for its archive."""
    await _closed_round(console, claims=3)

    async def refuses(*_: Any, **__: Any) -> Any:
        raise StoreRejected("READONLY")

    monkeypatch.setattr(console.store.rounds, "round_archive", refuses)
    await problem(await _archive(console), 503, "unavailable")
    assert _files(console) == []
    assert (await good(await console.http.get(f"{NIGHT}/audit", headers=ADMIN)))["ok"] is True


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "open"),
        ({"opens_at_ms": now_ms() + HOUR_MS, "closes_at_ms": now_ms() + 2 * HOUR_MS}, "scheduled"),
        ({"total": 0}, "sold out"),
    ],
    ids=["open", "scheduled", "sold out"],
)
async def test_only_a_closed_round_is_archived(
    console: Served, valkey: Server, fields: dict[str, Any], status: str
) -> None:
    """409 not_closed with the status in its detail; no file, and no byte changed."""
    await open_round(console.store, **fields)
    before = _dump(valkey)
    document = await problem(await _archive(console), 409, "not_closed")
    assert status in document["detail"]
    assert (_dump(valkey), _files(console)) == (before, [])


async def test_a_round_that_changes_meanwhile_stays(console: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit between the reading and the removal: 412, nothing removed, and no file of the old state."""
    await _closed_round(console, claims=3)
    round_archive = console.store.rounds.round_archive

    async def edited_first(*args: Any, **named: Any) -> Any:
        assert (await console.store.rounds.round_edit("night", {"title": "Late"}, "x")).outcome is EditOutcome.DONE
        return await round_archive(*args, **named)

    monkeypatch.setattr(console.store.rounds, "round_archive", edited_first)
    await problem(await _archive(console), 412, "version_mismatch")
    assert _files(console) == []
    assert (await good(await console.http.get(f"{NIGHT}/audit", headers=ADMIN)))["claims"] == 3


@pytest.mark.parametrize(("if_match", "status"), [('"2"', 200), ("*", 200), ('"1"', 412), ("2", 400)])
async def test_archiving_can_be_bound_to_a_version(console: Served, if_match: str, status: int) -> None:
    """`If-Match`, as for every edit."""
    await _closed_round(console, claims=1)
    answer = await _archive(console, **{"If-Match": if_match})
    assert answer.status == status
    assert len(_files(console)) == (status == 200)


async def test_a_malformed_version_is_rejected_for_an_archived_round_too(console: Served) -> None:
    """400, as before the round was archived; one that is well formed is not looked at any more."""
    await _closed_round(console, claims=1)
    assert (await _archive(console)).status == 200
    await problem(await _archive(console, **{"If-Match": "2"}), 400, "bad_request")
    assert (await _archive(console, **{"If-Match": '"1"'})).status == 200


def _claim_gone(client: redis.Redis) -> None:
    client.hdel(keys.of_round("night").claims, (2).to_bytes(16, "big"))


def _claim_added(client: redis.Redis) -> None:
    client.hset(keys.of_round("night").claims, b"x" * 16, "4:1")


def _log_gone(client: redis.Redis) -> None:
    client.delete(keys.of_round("night").log)


@pytest.mark.parametrize("tamper", [_claim_gone, _claim_added, _log_gone])
async def test_a_round_whose_audit_fails_stays(
    console: Served, valkey: Server, tamper: Callable[[redis.Redis], None]
) -> None:
    """409 audit_failed with the audit: what is wrong must be looked into on the server."""
    await _closed_round(console, claims=3)
    with valkey.client() as client:
        tamper(client)
    before = _dump(valkey)
    document = await problem(await _archive(console), 409, "audit_failed")
    assert document["audit"]["ok"] is False
    assert (_dump(valkey), _files(console)) == (before, [])


async def test_a_file_that_cannot_be_written(console: Served, valkey: Server) -> None:
    """500 archive_failed with the reason; the round stays, and nothing is left behind."""
    await _closed_round(console, claims=3)
    before = _dump(valkey)
    assert console.archive_dir is not None
    console.archive_dir.write_text("in the way")
    document = await problem(await _archive(console), 500, "archive_failed")
    assert f"{console.archive_dir} cannot be written" in document["detail"]
    assert _dump(valkey) == before


async def test_one_archive_is_written_at_a_time(console: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A concurrent request is 409 archiving; the remains of a killed console are removed."""
    await _closed_round(console, claims=3)
    assert console.archive_dir is not None
    console.archive_dir.mkdir()
    (console.archive_dir / "old.x.part").write_text("half")
    read_log, reading, go_on = console.store.log_reader.log, asyncio.Event(), asyncio.Event()

    async def log(round_id: str) -> AsyncIterator[Any]:
        reading.set()
        await go_on.wait()
        async for entry in read_log(round_id):
            yield entry

    monkeypatch.setattr(console.store.log_reader, "log", log)
    first = asyncio.create_task(_archive(console))
    await reading.wait()
    await problem(await _archive(console), 409, "archiving")
    go_on.set()
    document = await good(await first)
    assert _files(console) == [Path(document["file"]).name]


async def test_an_export_of_a_round_that_is_archived_meanwhile_is_cut_off(
    console: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part is never taken for the whole."""
    await open_round(console.store, total=2000)
    for number in range(450):
        await console.store.claims.claim("night", [number.to_bytes(16, "big")])
    await console.store.rounds.round_edit("night", {"closed": True}, "done")
    entries = console.store.log_reader.log("night")
    await anext(entries)
    await good(await _archive(console))

    async def rest() -> list[Any]:
        return [entry async for entry in entries]

    with pytest.raises(StoreUnavailable, match="removed while it was read"):
        await rest()


@pytest.mark.parametrize(
    ("fields", "rewrite"),
    [
        (None, "started"),
        ({"opens_at_ms": now_ms() - HOUR_MS}, "postponed"),
        ({"opens_at_ms": now_ms() + 60_000}, "postponed"),
        ({"opens_at_ms": now_ms() + HOUR_MS // 2}, "started"),
    ],
    ids=["none", "open", "opens soon", "opens later"],
)
async def test_the_embedded_servers_file_is_rewritten_outside_drops(
    valkey: Server, fields: dict[str, Any] | None, rewrite: str
) -> None:
    """Else restarts would read what has left. What was postponed is done when the round is archived once more."""
    async with serving.console(valkey.url, embedded=True) as console:
        await _closed_round(console, claims=3)
        if fields is not None:
            await open_round(console.store, "next", **fields)
        with valkey.client() as client:
            client.config_resetstat()
            assert (await good(await _archive(console)))["rewrite"] == rewrite
            await console.store.rounds.round_edit("next", {"closed": True}, "over")
            assert (await good(await _archive(console)))["rewrite"] == "started"
            calls = client.info("commandstats")["cmdstat_bgrewriteaof"]["calls"]
    assert calls == (2 if rewrite == "started" else 1)
