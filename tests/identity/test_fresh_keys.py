"""Fresh keys: new ones are found, a bad document leaves the old ones, clients cause few readings."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from claimd.identity import fresh_keys, jwks_source, jwks_url
from claimd.identity.fresh_keys import REFRESH_SECONDS, REREAD_SECONDS, FreshKeys, KeysUnavailable
from claimd.identity.jwks import MAX_BYTES, JwksError
from claimd.identity.jwks_source import FileSource
from claimd.identity.jwks_url import UrlSource
from tests.identity.identity_provider import public_jwk


def document(*kids: str) -> bytes:
    """A JWKS document with the keys `kids`."""
    return json.dumps({"keys": [{**public_jwk("oct"), "kid": kid} for kid in kids]}).encode()


class Clock:
    """A clock in seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Provider:
    """A source with a document or an error chosen by a test; it counts its readings."""

    name = "https://id.example/keys"

    def __init__(self, *kids: str) -> None:
        self.document: bytes | Exception = document(*kids)
        self.reads = 0
        self.open = asyncio.Event()
        self.open.set()

    async def read(self) -> bytes:
        self.reads += 1
        await self.open.wait()
        if isinstance(self.document, Exception):
            raise self.document
        return self.document

    async def may_have_changed(self) -> bool:
        return False


@pytest.fixture
def clock() -> Clock:
    """The clock of `keys`."""
    return Clock()


@pytest.fixture
def provider() -> Provider:
    """A provider with one key."""
    return Provider("old")


@pytest.fixture
async def keys(provider: Provider, clock: Clock) -> FreshKeys:
    """The keys of `provider`, read once."""
    fresh = FreshKeys(provider, clock)
    await fresh.start()
    return fresh


async def test_an_unknown_key_causes_a_reading_before_the_token_is_judged(keys: FreshKeys, provider: Provider) -> None:
    """After a rotation the first token with the new key is accepted, also right after the start."""
    provider.document = document("new")
    assert await keys.find("new") is not None
    assert await keys.find("old") is None
    assert provider.reads == 2


async def test_unknown_keys_cause_one_reading_in_30_seconds(keys: FreshKeys, provider: Provider, clock: Clock) -> None:
    """Whatever they name: a second unknown key within that time is judged by the present keys at once."""
    for number in range(100):
        assert await keys.find(f"stranger-{number}") is None
    assert provider.reads == 2
    clock.now += REREAD_SECONDS - 1
    assert await keys.find("stranger") is None
    assert provider.reads == 2
    clock.now += 1
    assert await keys.find("stranger") is None
    assert provider.reads == 3


async def test_all_requests_during_a_reading_wait_for_the_same_one(keys: FreshKeys, provider: Provider) -> None:
    """After a rotation thousands of requests come at once; those whose key is known do not wait."""
    provider.document = document("old", "new")
    provider.open.clear()
    asking = [asyncio.create_task(keys.find("new")) for _ in range(50)]
    while provider.reads < 2:  # noqa: ASYNC110 - nothing signals the request
        await asyncio.sleep(0)
    assert await keys.find("old") is not None
    assert not any(task.done() for task in asking)
    provider.open.set()
    assert None not in await asyncio.gather(*asking)
    assert provider.reads == 2


async def test_a_provider_that_hangs_delays_a_request_for_a_bounded_time(
    keys: FreshKeys, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the token is judged by the present keys."""
    monkeypatch.setattr(fresh_keys, "WAIT_SECONDS", 0.01)
    provider.open.clear()
    assert await keys.find("new") is None
    provider.document = document("new")
    provider.open.set()
    assert await keys.find("new") is not None
    assert provider.reads == 2


async def test_keys_are_read_again_every_10_minutes(keys: FreshKeys, provider: Provider, clock: Clock) -> None:
    """A withdrawn key is rejected even if no token names an unknown one."""
    provider.document = document("new")
    clock.now += REFRESH_SECONDS - 1
    await keys.refresh_if_due()
    assert provider.reads == 1
    clock.now += 1
    await keys.refresh_if_due()
    assert provider.reads == 2
    assert await keys.find("old") is None


@pytest.mark.parametrize(
    "bad", [b"", b"{", b"[]", JwksError("https://id.example/keys answered 500 instead of 200"), RuntimeError("a bug")]
)
async def test_a_bad_document_leaves_the_old_keys(
    keys: FreshKeys, provider: Provider, clock: Clock, bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning is logged once, not each time; the next reading comes soon, and its good document is used."""
    provider.document = bad
    clock.now += REFRESH_SECONDS
    await keys.refresh_if_due()
    assert await keys.find("old") is not None
    clock.now += REREAD_SECONDS
    await keys.refresh_if_due()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "https://id.example/keys" in warnings[0]
    assert "the keys read before stay in use (1 key)" in warnings[0]
    provider.document = document("new")
    clock.now += REREAD_SECONDS
    await keys.refresh_if_due()
    assert await keys.find("new") is not None


async def test_a_document_without_keys_is_accepted(
    keys: FreshKeys, provider: Provider, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """All keys may be withdrawn; a warning is logged, as it may be a mistake."""
    provider.document = document()
    clock.now += REFRESH_SECONDS
    await keys.refresh_if_due()
    assert await keys.find("old") is None
    assert "no key that verifies: every bearer token is refused" in caplog.text


async def test_before_the_first_jwks_no_token_is_judged(provider: Provider, clock: Clock) -> None:
    """An unreachable provider is retried with growing pauses of up to 30 s; requests cause no reading."""
    good, provider.document = provider.document, JwksError("https://id.example/keys did not answer within 5 s")
    keys = FreshKeys(provider, clock)
    await keys.start()
    tried = []
    for second in range(120):
        with pytest.raises(KeysUnavailable):
            await keys.find("old")
        before = provider.reads
        await keys.refresh_if_due()
        tried += [second] * (provider.reads - before)
        clock.now += 1
    assert tried == [1, 3, 7, 15, 31, 61, 91]
    for _ in range(2000):
        clock.now += REREAD_SECONDS
        await keys.refresh_if_due()
    assert provider.reads == 2008
    provider.document = good
    clock.now += REREAD_SECONDS
    await keys.refresh_if_due()
    assert await keys.find("old") is not None


async def test_a_start_does_not_wait_for_long(
    provider: Provider, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passes need no provider: the gateway starts without keys."""
    monkeypatch.setattr(fresh_keys, "WAIT_SECONDS", 0.01)
    provider.open.clear()
    keys = FreshKeys(provider, clock)
    await keys.start()
    with pytest.raises(KeysUnavailable):
        await keys.find("old")


async def test_what_is_passed_over_is_logged_when_it_is_new(
    keys: FreshKeys, provider: Provider, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """There is one line for each document, not for each reading."""
    caplog.set_level(logging.INFO)
    provider.document = json.dumps({"keys": [public_jwk("oct"), {**public_jwk("rsa"), "use": "enc"}]}).encode()
    for _ in range(3):
        clock.now += REFRESH_SECONDS
        await keys.refresh_if_due()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "JWKS https://id.example/keys: 1 key; passed over: key 1 ('rsa') is not for signatures (use)"


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path, clock: Clock) -> None:
    """After it was replaced, rewritten in place, mounted as a volume, or removed and restored; and only then."""
    path = tmp_path / "jwks.json"
    path.write_bytes(document("a"))
    os.utime(path, (1, 1))
    keys = FreshKeys(FileSource(path), clock)
    await keys.start()

    async def known() -> list[str]:
        await keys.refresh_if_due()
        assert keys._jwks is not None
        return list(keys._jwks.keys)

    assert await known() == ["a"]
    (tmp_path / "new").write_bytes(document("b"))
    (tmp_path / "new").replace(path)
    assert await known() == ["b"]
    # Within the resolution of its times, and with the same size.
    path.write_bytes(document("c"))
    assert await known() == ["c"]
    for kid in "de":
        (tmp_path / kid).mkdir()
        (tmp_path / kid / "jwks.json").write_bytes(document(kid))
        os.utime(tmp_path / kid / "jwks.json", (1, 1))
    path.unlink()
    assert await known() == ["c"]
    for kid in "de":
        path.unlink(missing_ok=True)
        path.symlink_to(tmp_path / kid / "jwks.json")
        assert await known() == [kid]
    path.unlink()
    path.write_bytes(b'{"keys": [')
    assert await known() == ["e"]


async def test_a_file_that_has_not_changed_is_not_read(tmp_path: Path) -> None:
    """The check each second reads only the times of the file."""
    path = tmp_path / "jwks.json"
    path.write_bytes(document("a"))
    os.utime(path, (1, 1))
    source = FileSource(path)
    assert await source.may_have_changed()
    await source.read()
    assert not await source.may_have_changed()
    path.unlink()
    assert await source.may_have_changed()
    with pytest.raises(JwksError, match="cannot be read: No such file"):
        await source.read()
    assert not await source.may_have_changed()


async def test_a_file_that_was_just_written_is_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writes within a tick of the file system's clock leave the same times."""
    monkeypatch.setattr(jwks_source, "_state_of", lambda state: (1,))
    path = tmp_path / "jwks.json"
    path.write_bytes(document("a"))
    source = FileSource(path)
    await source.read()
    assert await source.may_have_changed()
    os.utime(path, (1, 1))
    await source.read()
    assert not await source.may_have_changed()


@pytest.mark.parametrize("kind", ["absent", "a directory", "too large"])
async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    """The error has the path and the reason."""
    path = tmp_path / "jwks.json"
    if kind == "a directory":
        path.mkdir()
    elif kind == "too large":
        path.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(JwksError, match=f"^{path} (cannot be read: |has more than)"):
        await FileSource(path).read()


class Site:
    """The web server of a provider, with a response or handler chosen by a test."""

    def __init__(self) -> None:
        self.answer: web.StreamResponse | Callable[[web.Request], Awaitable[web.StreamResponse]] = web.Response(
            body=document("a")
        )
        self.asked: list[web.Request] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        answer = self.answer
        return answer if isinstance(answer, web.StreamResponse) else await answer(request)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A web server on a port of this machine."""
    site = Site()
    app = web.Application()
    app.router.add_get("/{anything:.*}", site.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://me:hush@127.0.0.1:{runner.addresses[0][1]}/keys?p=hush"
    try:
        yield site
    finally:
        await runner.cleanup()


async def test_a_url_is_fetched(site: Site, clock: Clock) -> None:
    """With its query, its credentials as a header, and without compression."""
    keys = FreshKeys(UrlSource(site.url), clock)
    await keys.start()
    assert await keys.find("a") is not None
    (asked,) = site.asked
    assert asked.path_qs == "/keys?p=hush"
    assert asked.headers["Accept-Encoding"] == "identity"


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(b" " * 65536)
    return response


async def _never(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (web.Response(status=500), "answered 500 instead of 200"),
        (
            web.Response(status=302, headers={"Location": "http://elsewhere.example/keys"}),
            "answered 302 instead of 200",
        ),
        (_endless, "answered more than"),
        (_never, "did not answer within"),
    ],
    ids=["error", "redirect", "endless", "hangs"],
)
async def test_what_a_provider_answers_is_bounded(
    site: Site, answer: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In size and time; redirects are not followed; the message has neither the password nor the query."""
    site.answer = answer
    if answer is _never:
        monkeypatch.setattr(jwks_url, "FETCH_SECONDS", 0.05)
    with pytest.raises(JwksError, match=says) as raised:
        await UrlSource(site.url).read()
    assert "hush" not in str(raised.value)
    assert "http://127.0.0.1:" in str(raised.value)


async def test_an_unreachable_provider_is_named_without_its_credentials() -> None:
    """The message is one line."""
    with pytest.raises(JwksError, match=r"^http://127\.0\.0\.1:1/keys cannot be read: ") as raised:
        await UrlSource("http://me:hush@127.0.0.1:1/keys?p=hush").read()
    assert "hush" not in str(raised.value)


async def test_this_machine_is_reached_without_a_proxy(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy settings of the environment are ignored for loopback addresses."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert await UrlSource(site.url).read() == document("a")


async def test_an_unexpected_error_does_not_end_the_checks(
    keys: FreshKeys, provider: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the keys would never be read again, which would be noticed only at the next rotation."""
    checked = asyncio.Event()
    checks = 0

    async def may_have_changed() -> bool:
        nonlocal checks
        checks += 1
        if checks == 1:
            raise RuntimeError("a bug")
        checked.set()
        return False

    monkeypatch.setattr(fresh_keys, "_CHECK_SECONDS", 0)
    monkeypatch.setattr(provider, "may_have_changed", may_have_changed)
    running = asyncio.create_task(keys.run())
    await asyncio.wait_for(checked.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "a bug" in caplog.text
