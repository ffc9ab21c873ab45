"""Settings: an invalid one is rejected where it is read, with a message that contains no secret."""

import inspect
import os
import re
from pathlib import Path

import pytest

from claimd.cli.address import ConsoleAddress
from claimd.cli.commands.up import _up
from claimd.settings import Settings, SettingsError
from claimd.store.durability import Durability
from claimd.store.redis.addresses import without_password
from claimd.supervisor.child_environment import Role, child_environment


def test_a_flag_takes_precedence_over_a_variable_and_that_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is the same for all settings."""
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
def test_an_invalid_address_is_rejected_without_its_password(url: str) -> None:
    """The message can be printed."""
    with pytest.raises(SettingsError, match="CLAIMD_REDIS_URL") as rejected:
        Settings.read(redis_url=url)
    assert "hunter2" not in str(rejected.value)


@pytest.mark.parametrize("token", ["", "  "])
def test_an_empty_admin_token_is_rejected(token: str) -> None:
    """A variable without a value must not open the console to every client."""
    with pytest.raises(SettingsError, match="CLAIMD_ADMIN_TOKEN"):
        Settings.read(admin_token=token)


def test_durability_is_one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error must not be read as the weaker one."""
    monkeypatch.setenv("CLAIMD_DURABILITY", "replicas")
    with pytest.raises(SettingsError, match="CLAIMD_DURABILITY"):
        Settings.read()
    assert Settings.read(durability="local").durability is Durability.LOCAL
    assert Settings.read(durability="replica").durability is Durability.REPLICA


def test_a_short_secret_is_rejected() -> None:
    """It must have 32 bytes."""
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
        ("redis+sentinel://u:hunter2@a:1,b/night?sentinel_password=hunter2", "redis+sentinel://***@a:1,b/night"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    """In each place where redis-py accepts one."""
    assert without_password(url) == shown


@pytest.mark.parametrize("end", ["\n", "\r\n", "  ", "\t\n "])
def test_white_space_at_the_ends_of_a_secret_is_ignored(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell, an editor or `kubectl create secret` adds a line end, which would change every identity digest."""
    monkeypatch.setenv("CLAIMD_SECRET", end + "s" * 32 + end)
    assert Settings.read().require_secret() == b"s" * 32
    monkeypatch.setenv("CLAIMD_SECRET", "s" * 31 + end * 3)
    with pytest.raises(SettingsError, match="CLAIMD_SECRET: must have at least 32 bytes"):
        Settings.read()


@pytest.mark.parametrize(("name", "role"), [("secret", "gateway"), ("admin_token", "console")])
def test_a_secret_may_be_in_a_file(name: str, role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable or the flag, and without the file's last line end; a child gets the content, not the path."""
    path = tmp_path / "secret"
    path.write_text("s" * 40 + "\n")
    monkeypatch.setenv(f"CLAIMD_{name.upper()}_FILE", str(path))
    for settings in (Settings.read(), Settings.read(**{f"{name}_file": path})):
        assert getattr(settings, name).get_secret_value() == "s" * 40
        assert getattr(settings, f"{name}_file") is None
        environment = child_environment(settings, os.environ, role)
        assert environment[f"CLAIMD_{name.upper()}"] == "s" * 40
        assert f"CLAIMD_{name.upper()}_FILE" not in environment


@pytest.mark.parametrize("name", ["secret", "admin_token"])
def test_a_secret_and_its_file_are_rejected_together(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either may be the right one: the error names both, whether flag or variable."""
    path = tmp_path / "secret"
    path.write_text("s" * 40)
    both = f"CLAIMD_{name.upper()} and CLAIMD_{name.upper()}_FILE"
    with pytest.raises(SettingsError, match=both):
        Settings.read(**{name: "t" * 40, f"{name}_file": path})
    monkeypatch.setenv(f"CLAIMD_{name.upper()}", "t" * 40)
    with pytest.raises(SettingsError, match=both):
        Settings.read(**{f"{name}_file": path})
    monkeypatch.setenv(f"CLAIMD_{name.upper()}_FILE", str(path))
    with pytest.raises(SettingsError, match=both) as rejected:
        Settings.read()
    assert "t" * 40 not in str(rejected.value)
    assert "s" * 40 not in str(rejected.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff" * 40, "is not text"),
        (b"x" * 70_000, "has more than"),
    ],
    ids=["absent", "empty", "blank", "bytes", "huge"],
)
def test_a_file_without_a_usable_secret_is_named(content: bytes | None, reason: str, tmp_path: Path) -> None:
    """The error has the variable, the file and the reason in one line."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"CLAIMD_SECRET_FILE: {path} {reason}") as rejected:
        Settings.read(secret_file=path)
    assert "\n" not in str(rejected.value)


def test_a_short_secret_in_a_file_is_rejected(tmp_path: Path) -> None:
    """The same rule as for the variable."""
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


def test_variables_injected_by_an_orchestrator_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a Service named claimd the defaults apply, a flag takes precedence, and there is no warning."""
    for name, value in INJECTED.items():
        monkeypatch.setenv(name, value)
    settings = Settings.read()
    assert (settings.port, settings.console_port) == (8080, 8081)
    assert not settings.model_fields_set
    assert Settings.read(port=9000).port == 9000
    assert Settings.unknown_variables() == []


@pytest.mark.parametrize("value", ["808O", "http://10.96.12.7:8080", " tcp://10.96.12.7", "tcp", "99999"])
def test_a_mistyped_port_is_still_rejected(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only values that an orchestrator writes are ignored."""
    monkeypatch.setenv("CLAIMD_PORT", value)
    with pytest.raises(SettingsError, match="CLAIMD_PORT"):
        Settings.read()


def test_an_unknown_variable_is_reported_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with the setting probably meant. Settings in any case, and other variables, are not reported."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"CLAIMD_{name.upper()}", "")
    monkeypatch.setenv("claimd_workers", "2")
    monkeypatch.setenv("CLAIMDX", "1")
    assert Settings.unknown_variables() == []
    monkeypatch.setenv("CLAIMD_JWT_AUDIENC", "hush")
    monkeypatch.setenv("CLAIMD_SECRETS", "hush")
    monkeypatch.setenv("CLAIMD_COLOUR_OF_THE_NIGHT", "hush")
    assert Settings.unknown_variables() == [
        ("CLAIMD_COLOUR_OF_THE_NIGHT", ""),
        ("CLAIMD_JWT_AUDIENC", "CLAIMD_JWT_AUDIENCE"),
        ("CLAIMD_SECRETS", "CLAIMD_SECRET"),
    ]


def test_issuers_and_audiences_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are comma-separated; an empty list must not turn the check off."""
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


def test_the_defaults_of_tokens_and_idle_connections() -> None:
    """The identity is `sub`, the leeway five seconds, and a connection may be idle for 75; spaces do not count."""
    settings = Settings.read()
    assert (settings.jwt_identity, settings.jwt_leeway, settings.idle_seconds) == ("sub", 5, 75)
    assert Settings.read(jwt_identity=" oid ").jwt_identity == "oid"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("jwt_leeway", [-1, 3601, "nan", "soon"]),
        ("idle_seconds", [0, -1, "inf", "nan"]),
        ("jwt_identity", ["", " ", "x" * 257]),
        ("jwks", ["http://id.example/keys", "ftp://id.example/keys", "file:///keys", "https://", "https://h:port/"]),
    ],
)
def test_an_invalid_value_is_rejected_by_name(name: str, values: list[object]) -> None:
    """The error names the variable."""
    for value in values:
        with pytest.raises(SettingsError, match=f"CLAIMD_{name.upper()}: "):
            Settings.read(**{name: value})
    for location in ("keys.json", "/etc/claimd/keys.json", "https://id.example/keys?p=x", "http://127.0.0.1:1/keys"):
        assert Settings.read(jwks=location).jwks == location


def test_origins_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as a browser sends it; none by default."""
    assert Settings.read().allowed_origins == ()
    monkeypatch.setenv("CLAIMD_CORS_ORIGINS", "https://app.example, http://localhost:5173,capacitor://localhost,")
    assert Settings.read().allowed_origins == (
        "https://app.example",
        "http://localhost:5173",
        "capacitor://localhost",
    )
    assert Settings.read(cors_origins="http://[::1]:8000").allowed_origins == ("http://[::1]:8000",)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "app.example",
        "https://",
        "https://app.example/",
        "https://app.example/app",
        "https://App.example",
        "HTTPS://app.example",
        "https://app.example:443",
        "http://app.example:80",
        "https://app.example:70000",
        "https://app.example:",
        "https://user@app.example",
        "https://*.example",
        "https://\u5e94\u7528.example",
        "https://a.example https://b.example",
        "https://a.example\r\nX: y",
    ],
)
def test_what_no_browser_sends_is_no_origin(origin: str) -> None:
    """The error names the setting and the entry, of several the wrong one."""
    with pytest.raises(SettingsError, match=f"CLAIMD_CORS_ORIGINS: .*{re.escape(repr(origin))}"):
        Settings.read(cors_origins=f"https://good.example, {origin}")


def test_every_setting_is_a_flag_of_claimd_up() -> None:
    """`claimd up` runs all roles: each variable is also a flag of the same name."""
    # These flags are for one start, or for trying claimd out, and are no settings.
    assert set(inspect.signature(_up).parameters) - {"accept_lost_claims", "dev_tokens"} == set(Settings.model_fields)


def test_an_operators_command_reads_the_token_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is named by a flag or a variable, as for the console."""
    path = tmp_path / "token"
    path.write_text("hush\n")
    found = ConsoleAddress.find(None, tmp_path, None, None, None, path)
    assert found.token == "hush"
    monkeypatch.setenv("CLAIMD_ADMIN_TOKEN_FILE", str(path))
    assert ConsoleAddress.find(None, tmp_path, None, None, None) == found
