"""Settings: what cannot work is refused where it is read, in a sentence, and without showing a secret."""

from pathlib import Path

import pytest

from claimd.processes.environment import child_environment
from claimd.processes.own_server import without_password
from claimd.settings import Settings, SettingsError
from claimd.store.durability import Durability


def test_a_flag_wins_over_the_environment_and_that_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """One order for all settings."""
    assert Settings.read().port == 8080
    monkeypatch.setenv("CLAIMD_PORT", "9000")
    assert Settings.read().port == 9000
    assert Settings.read(port=9001).port == 9001
    assert Settings.read(port=None, data_dir=Path("x")).data_dir == Path("x")


@pytest.mark.parametrize(
    "url",
    [
        "http://db",
        "redis://h:notaport",
        "redis://:hunter2/x@host:6379",
        "redis://:hunter2?x@host:6379",
        "redis://127.0.0.1:1?foo=1",
        "unix:///s?hunter2=1",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    """Before anything starts, and in words that can be shown."""
    with pytest.raises(SettingsError, match="CLAIMD_REDIS_URL") as refusal:
        Settings.read(redis_url=url)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("token", ["", "  "])
def test_an_empty_admin_token_is_refused(token: str) -> None:
    """A variable that was not set must not open the console to everybody."""
    with pytest.raises(SettingsError, match="CLAIMD_ADMIN_TOKEN"):
        Settings.read(admin_token=token)


def test_durability_is_one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error must not pass for the weaker one; children get the same as their supervisor."""
    monkeypatch.setenv("CLAIMD_DURABILITY", "replicas")
    with pytest.raises(SettingsError, match="CLAIMD_DURABILITY"):
        Settings.read()
    assert Settings.read(durability="local").durability is Durability.LOCAL
    assert (
        child_environment(Settings.read(durability="replica"), {}, without="secret")["CLAIMD_DURABILITY"] == "replica"
    )


def test_a_short_secret_is_refused() -> None:
    """At least 32 bytes."""
    with pytest.raises(SettingsError, match="CLAIMD_SECRET"):
        Settings.read(secret="x" * 31)
    assert Settings.read(secret="x" * 32).require_secret() == b"x" * 32


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://claimd:hunter2@db.internal:6379/0", "redis://***@db.internal:6379/0"),
        ("rediss://db", "rediss://db"),
        ("unix:///run/valkey.sock?password=hunter2", "unix:///run/valkey.sock"),
        ("redis://db/0?password=hunter2", "redis://db/0"),
        ("redis://:hunter2/x@host", "redis://…"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    """Wherever the library takes one."""
    assert without_password(url) == shown
