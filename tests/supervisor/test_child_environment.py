"""Which settings a child gets: those that its role uses, and no other."""

import os
from pathlib import Path

import pytest

from claimd.settings import Settings
from claimd.supervisor.child_environment import (
    SETTINGS_OF,
    SETTINGS_OF_SUPERVISOR_ALONE,
    Role,
    child_environment,
    without_settings,
)
from tests.identity.identity_provider import write_jwks
from tests.up.running import Up

ROLES: tuple[Role, ...] = ("gateway", "console")
SECRET, ADMIN_TOKEN = "s" * 32, "t" * 32


def variables(names: frozenset[str] | set[str]) -> set[str]:
    """The variables of settings of these names."""
    return {f"CLAIMD_{name.upper()}" for name in names}


def test_every_setting_is_listed_once() -> None:
    """For the roles that use it, or for the supervisor alone with a reason: a new setting must not be overlooked."""
    of_roles = frozenset().union(*SETTINGS_OF.values())
    assert of_roles | set(SETTINGS_OF_SUPERVISOR_ALONE) == set(Settings.model_fields)
    assert not of_roles & set(SETTINGS_OF_SUPERVISOR_ALONE)
    assert set(SETTINGS_OF) == set(ROLES)
    assert all(SETTINGS_OF_SUPERVISOR_ALONE.values())


@pytest.mark.parametrize(
    ("role", "foreign"),
    [("gateway", {"admin_token", "data_dir"}), ("console", {"jwks", "jwt_identity", "cors_origins"})],
)
def test_no_role_gets_a_secret_that_it_does_not_need(role: Role, foreign: set[str]) -> None:
    """A gateway does not open the console, which takes the admin token; a console verifies no person's token."""
    assert not SETTINGS_OF[role] & foreign
    settings = Settings.read(secret=SECRET, admin_token=ADMIN_TOKEN, jwks="https://id.example/keys")
    assert not set(child_environment(settings, os.environ, role)) & variables(foreign)


@pytest.mark.parametrize("role", ROLES)
def test_a_child_gets_its_settings_and_no_inherited_ones(role: Role) -> None:
    """What is not set is not inherited either, nor is an unknown variable; secrets arrive in plain text."""
    settings = Settings.read(secret=SECRET, admin_token=ADMIN_TOKEN, idle_seconds=90)
    inherited = {
        "PATH": "/bin",
        "CLAIMD_REDIS_URL": "redis://old",
        "CLAIMD_SECRETS": "hush",
        "CLAIMD_PORT": "tcp://10.96.12.7:8080",
        "claimd_secret": "hush",
    }
    environment = child_environment(settings, inherited, role)
    assert environment["PATH"] == "/bin"
    assert environment["CLAIMD_IDLE_SECONDS"] == "90.0"
    assert environment["CLAIMD_DURABILITY"] == "local"
    own = ("CLAIMD_SECRET", SECRET) if role == "gateway" else ("CLAIMD_ADMIN_TOKEN", ADMIN_TOKEN)
    assert own in environment.items()
    assert set(environment) == {"PATH"} | variables(
        {name for name in SETTINGS_OF[role] if getattr(settings, name) is not None}
    )
    assert without_settings(inherited) == {"PATH": "/bin"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_the_values_of_its_supervisor(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting of the role survives the way through the environment."""
    settings = Settings.read(
        data_dir=Path("elsewhere"),
        redis_url="redis://db",
        durability="replica",
        secret=SECRET,
        admin_token=ADMIN_TOKEN,
        jwks="https://id.example/keys",
        jwt_issuer="https://a.example, https://b.example",
        jwt_audience="app",
        jwt_identity=" oid ",
        jwt_leeway=0.5,
        idle_seconds=90,
        cors_origins="https://app.example, capacitor://localhost",
    )
    for name, value in child_environment(settings, {}, role).items():
        monkeypatch.setenv(name, value)
    read = Settings.read()
    assert read.model_dump(include=set(SETTINGS_OF[role])) == settings.model_dump(include=set(SETTINGS_OF[role]))
    assert read.model_fields_set == SETTINGS_OF[role]


def test_running_children_have_the_settings_of_their_role_and_no_other(tmp_path: Path) -> None:
    """By /proc/PID/environ of each child of a `claimd up` that has every kind of variable in its own environment."""
    environment = {
        "CLAIMD_SECRET": SECRET,
        "CLAIMD_ADMIN_TOKEN": ADMIN_TOKEN,
        "CLAIMD_JWKS": str(write_jwks(tmp_path / "jwks.json")),
        "CLAIMD_JWT_ISSUER": "https://id.example",
        "CLAIMD_JWT_AUDIENCE": "app",
        "CLAIMD_CORS_ORIGINS": "https://app.example",
        "CLAIMD_SECRETS": "unknown, and like a setting",
        "CLAIMD_LEDGER_URL": "unknown",
        "CLAIMD_CONSOLE_SERVICE_HOST": "10.96.12.7",
        "claimd_workers": "2",
        "OTHER_PROGRAMS": "variable",
    }
    with Up(tmp_path / "data", **environment).until_ready() as up:
        found = {name: _environment(up.pid(name)) for name in ("gateway-0", "gateway-1", "console", "valkey")}
    expected = {
        "gateway-0": variables(SETTINGS_OF["gateway"]),
        "gateway-1": variables(SETTINGS_OF["gateway"]),
        "console": variables(SETTINGS_OF["console"]),
        "valkey": set[str](),
    }
    for name, variables_of_child in found.items():
        assert {key for key in variables_of_child if key.upper().startswith("CLAIMD")} == expected[name], name
        assert variables_of_child["OTHER_PROGRAMS"] == "variable"
        assert (SECRET in variables_of_child.values()) == (name != "valkey")
        assert (ADMIN_TOKEN in variables_of_child.values()) == (name == "console")


def _environment(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return {name: value for name, _, value in (entry.partition("=") for entry in entries if entry)}
