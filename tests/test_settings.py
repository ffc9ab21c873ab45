"""Settings: what cannot work is refused where it is read, in a sentence, and without showing a secret."""

import inspect
from pathlib import Path

import pytest

from claimd.cli.address import ConsoleAddress
from claimd.cli.commands.up import _up
from claimd.doctor.examine import without_password
from claimd.settings import Settings, SettingsError
from claimd.store.redis.acknowledgement import Durability
from claimd.supervisor.child_environment import child_environment


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


@pytest.mark.parametrize("end", ["\n", "\r\n", "  ", "\t\n "])
def test_white_space_at_a_secrets_ends_does_not_count(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell, an editor or `kubectl create secret` adds a line's end: with it every person would be another one."""
    monkeypatch.setenv("CLAIMD_SECRET", end + "s" * 32 + end)
    assert Settings.read().require_secret() == b"s" * 32
    monkeypatch.setenv("CLAIMD_SECRET", "s" * 31 + end * 3)
    with pytest.raises(SettingsError, match="CLAIMD_SECRET: must have at least 32 bytes"):
        Settings.read()


@pytest.mark.parametrize("name", ["secret", "admin_token"])
def test_a_secret_may_be_in_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable or the flag, and without the file's last line end; a child gets what is in it, not the file."""
    path = tmp_path / "secret"
    path.write_text("s" * 40 + "\n")
    monkeypatch.setenv(f"CLAIMD_{name.upper()}_FILE", str(path))
    for settings in (Settings.read(), Settings.read(**{f"{name}_file": path})):
        assert getattr(settings, name).get_secret_value() == "s" * 40
        inherited = {f"CLAIMD_{name.upper()}_FILE": str(path)}
        environment = child_environment(settings, inherited, without="nothing")
        assert environment[f"CLAIMD_{name.upper()}"] == "s" * 40
        assert f"CLAIMD_{name.upper()}_FILE" not in environment
        assert f"CLAIMD_{name.upper()}" not in child_environment(settings, inherited, without=name)


@pytest.mark.parametrize("name", ["secret", "admin_token"])
def test_a_secret_and_its_file_are_refused_together(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one was meant cannot be known: the error names both, wherever each comes from."""
    path = tmp_path / "secret"
    path.write_text("s" * 40)
    both = f"CLAIMD_{name.upper()} and CLAIMD_{name.upper()}_FILE"
    with pytest.raises(SettingsError, match=both):
        Settings.read(**{name: "t" * 40, f"{name}_file": path})
    monkeypatch.setenv(f"CLAIMD_{name.upper()}", "t" * 40)
    with pytest.raises(SettingsError, match=both):
        Settings.read(**{f"{name}_file": path})
    monkeypatch.setenv(f"CLAIMD_{name.upper()}_FILE", str(path))
    with pytest.raises(SettingsError, match=both) as refusal:
        Settings.read()
    assert "t" * 40 not in str(refusal.value)
    assert "s" * 40 not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff" * 40, "is not text"),
        (b"x" * 70_000, "has more than"),
    ],
    ids=["absent", "empty", "blank", "bytes", "huge"],
)
def test_a_secrets_file_that_cannot_be_used_is_named(content: bytes | None, says: str, tmp_path: Path) -> None:
    """With the variable, the file and the reason, in one line."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"CLAIMD_SECRET_FILE: {path} {says}") as refusal:
        Settings.read(secret_file=path)
    assert "\n" not in str(refusal.value)


def test_a_short_secret_in_a_file_is_refused(tmp_path: Path) -> None:
    """The same rule wherever it comes from."""
    path = tmp_path / "secret"
    path.write_text("s" * 31 + "\n")
    with pytest.raises(SettingsError, match="at least 32 bytes"):
        Settings.read(secret_file=path)


# What Kubernetes adds to each container's environment for the Services claimd, claimd-console and claimd-redis.
INJECTED = {
    "CLAIMD_PORT": "tcp://10.96.12.7:8080",
    "CLAIMD_PORT_8080_TCP": "tcp://10.96.12.7:8080",
    "CLAIMD_PORT_8080_TCP_PROTO": "tcp",
    "CLAIMD_PORT_8080_TCP_PORT": "8080",
    "CLAIMD_PORT_8080_TCP_ADDR": "10.96.12.7",
    "CLAIMD_SERVICE_HOST": "10.96.12.7",
    "CLAIMD_SERVICE_PORT": "8080",
    "CLAIMD_SERVICE_PORT_HTTP": "8080",
    "CLAIMD_CONSOLE_PORT": "tcp://10.96.12.8:8081",
    "CLAIMD_CONSOLE_PORT_8081_TCP_ADDR": "10.96.12.8",
    "CLAIMD_CONSOLE_SERVICE_HOST": "10.96.12.8",
    "CLAIMD_CONSOLE_SERVICE_PORT": "8081",
    "CLAIMD_REDIS_PORT": "tcp://10.96.12.9:6379",
    "CLAIMD_REDIS_PORT_6379_TCP": "tcp://10.96.12.9:6379",
    "CLAIMD_REDIS_SERVICE_HOST": "10.96.12.9",
    "CLAIMD_DNS_PORT": "udp://10.96.0.10:53",
    "CLAIMD_DNS_PORT_53_UDP": "udp://10.96.0.10:53",
}


def test_what_an_orchestrator_injects_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Service named claimd must not stop claimd: the defaults hold, a flag wins, and there is no warning."""
    for name, value in INJECTED.items():
        monkeypatch.setenv(name, value)
    settings = Settings.read()
    assert (settings.port, settings.console_port) == (8080, 8081)
    assert not settings.model_fields_set
    assert Settings.read(port=9000).port == 9000
    assert Settings.unknown_variables() == []
    environment = child_environment(settings, INJECTED, without="nothing")
    assert environment["CLAIMD_PORT"] == "8080"
    assert environment["CLAIMD_CONSOLE_PORT"] == "8081"


@pytest.mark.parametrize("value", ["808O", "http://10.96.12.7:8080", " tcp://10.96.12.7", "tcp", "99999"])
def test_a_port_that_is_mistyped_is_still_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what an orchestrator writes is passed over."""
    monkeypatch.setenv("CLAIMD_PORT", value)
    with pytest.raises(SettingsError, match="CLAIMD_PORT"):
        Settings.read()


def test_a_variable_that_is_no_setting_is_said_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the setting that was probably meant; every setting, in any case, and other programs' variables are quiet."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"CLAIMD_{name.upper()}", "")
    monkeypatch.setenv("claimd_workers", "2")
    monkeypatch.setenv("CLAIMDX", "1")
    assert Settings.unknown_variables() == []
    monkeypatch.setenv("CLAIMD_JWT_AUDIENC", "hush")
    monkeypatch.setenv("CLAIMD_SECRETS", "hush")
    monkeypatch.setenv("CLAIMD_COLOUR_OF_THE_NIGHT", "hush")
    said = Settings.unknown_variables()
    assert said == [
        ("CLAIMD_COLOUR_OF_THE_NIGHT", ""),
        ("CLAIMD_JWT_AUDIENC", "CLAIMD_JWT_AUDIENCE"),
        ("CLAIMD_SECRETS", "CLAIMD_SECRET"),
    ]


def test_issuers_and_audiences_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comma-separated; a list without anything in it must not turn the check off."""
    assert (Settings.read().jwt_issuers, Settings.read().jwt_audiences) == ((), ())
    monkeypatch.setenv("CLAIMD_JWT_ISSUER", "https://a.example , https://b.example/,")
    monkeypatch.setenv("CLAIMD_JWT_AUDIENCE", "claimd")
    settings = Settings.read()
    assert settings.jwt_issuers == ("https://a.example", "https://b.example/")
    assert settings.jwt_audiences == ("claimd",)
    for name in ("jwt_issuer", "jwt_audience"):
        for nothing in ("", " ", ",", " , "):
            with pytest.raises(SettingsError, match=f"CLAIMD_{name.upper()}: must name at least one"):
                Settings.read(**{name: nothing})


def test_the_defaults_of_the_token_checks_are_the_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sub`, five seconds; and children get what their supervisor was given."""
    settings = Settings.read()
    assert (settings.jwt_identity, settings.jwt_leeway, settings.idle_seconds) == ("sub", 5, 75)
    settings = Settings.read(jwt_identity=" oid ", jwt_leeway=0.5, idle_seconds=90, jwks="https://id.example/keys")
    for name, value in child_environment(settings, {}, without="nothing").items():
        monkeypatch.setenv(name, value)
    assert Settings.read() == settings
    assert settings.jwt_identity == "oid"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("jwt_leeway", [-1, 3601, "nan", "soon"]),
        ("idle_seconds", [0, -1, "inf", "nan"]),
        ("jwt_identity", ["", " ", "x" * 257]),
        ("jwks", ["http://id.example/keys", "ftp://id.example/keys", "file:///keys", "https://", "https://h:port/"]),
    ],
)
def test_what_cannot_be_a_setting_is_refused_by_name(name: str, values: list[object]) -> None:
    """Where it is read, before anything starts."""
    for value in values:
        with pytest.raises(SettingsError, match=f"CLAIMD_{name.upper()}: "):
            Settings.read(**{name: value})
    for location in ("keys.json", "/etc/claimd/keys.json", "https://id.example/keys?p=x", "http://127.0.0.1:1/keys"):
        assert Settings.read(jwks=location).jwks == location


def test_every_setting_is_a_flag_of_the_whole_machine() -> None:
    """`claimd up` runs everything: what can be a variable can be a flag of the same name."""
    # What is accepted once is no setting.
    assert set(inspect.signature(_up).parameters) - {"accept_lost_claims"} == set(Settings.model_fields)


def test_an_operators_command_takes_the_token_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By flag or variable, as the console does."""
    path = tmp_path / "token"
    path.write_text("hush\n")
    found = ConsoleAddress.find(None, tmp_path, None, None, None, path)
    assert found.token == "hush"
    monkeypatch.setenv("CLAIMD_ADMIN_TOKEN_FILE", str(path))
    assert ConsoleAddress.find(None, tmp_path, None, None, None) == found
