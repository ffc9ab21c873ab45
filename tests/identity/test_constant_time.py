"""Secrets are compared in constant time, which does not reveal how much of a guess is right."""

import ast
import hmac
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

import claimd
from claimd.compose.console import build_console
from claimd.console import access
from claimd.identity import passes
from claimd.identity.passes import Passes
from claimd.identity.unauthenticated import Unauthenticated
from claimd.store.redis.store import RedisStore

PASSES = Passes(bytes(32))
PASS = PASSES.issue_pass("night", bytes(16), 2**50)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """The pairs that `compare_digest` was called with."""
    pairs: list[tuple[bytes, bytes]] = []

    def noted(one: bytes, other: bytes) -> bool:
        pairs.append((one, other))
        return hmac.compare_digest(one, other)

    for module in (passes, access):
        monkeypatch.setattr(module, "compare_digest", noted)
    return pairs


@pytest.mark.parametrize("at", [36, 50, 67])
def test_a_pass_is_compared_whole(compared: list[Any], at: int) -> None:
    """All 24 bytes of both signatures are compared, wherever they first differ."""
    guess = PASS[:at] + ("A" if PASS[at] != "A" else "B") + PASS[at + 1 :]
    assert PASSES.verify_pass("night", guess, 0) is Unauthenticated.BAD_SIGNATURE
    [(given, right)] = compared
    assert len(given) == len(right) == 24
    assert given != right
    compared.clear()
    assert PASSES.verify_pass("night", PASS, 0) == (bytes(16), 0)
    [(given, right)] = compared
    assert given == right


@pytest.mark.parametrize("guess", ["the token", "the tokem", "xhe token", "", "the token and more"])
async def test_the_admin_token_is_compared_whole(compared: list[Any], guess: str) -> None:
    """Whatever the length of the guess and the place of its first wrong character."""
    app = build_console(RedisStore.connect("redis://127.0.0.1:1"), "the token", Path(), embedded=False)
    request = make_mocked_request("GET", "/admin/v1/rounds", {"Authorization": f"Bearer {guess}"}, app=app)
    assert access._is_admin(request) is (guess == "the token")
    assert compared == [(guess.encode(), b"the token")]


def test_no_secret_is_compared_in_another_way() -> None:
    """No name of a secret or signature is an operand of `==`, `!=` or `in` where requests are served and decided."""
    secret = ("mac", "digest", "signature", "secret", "token", "password", "expected")
    found = []
    package = Path(claimd.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if {"cli", "doctor", "embedded", "supervisor", "up"} & set(path.parent.relative_to(package).parts):
            # On the operator's own machine, where an attacker cannot guess.
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
                names |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
                # The payload of a token that is verified: no secret.
                names.discard("token_claims")
                found += [(path.name, ast.unparse(node)) for name in names if any(word in name for word in secret)]
    # The length of a setting is no secret.
    assert [one for one in found if not one[1].startswith("len(")] == []
