"""`claimd gateway` and `claimd console`, each alone: what they say of their server, and when they start without it."""

from pathlib import Path

import pytest

from tests.servers import Server
from tests.up.alone import alone
from tests.up.running import eventually

ROLES = ["gateway", "console"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_what_the_server_keeps_and_waits_for_one_that_is_away(role: str, tmp_path: Path) -> None:
    """It starts without its server, answers 503, and is ready as soon as the server is there."""
    server = Server("valkey", tmp_path)
    try:
        with alone(role, tmp_path, server.url) as waiting:
            assert waiting.readiness() == 503
            assert "REFUSAL: it does not answer" in waiting.output
            assert "until it does, claims are answered 503" in waiting.output
            server.start()
            eventually(lambda: waiting.readiness() == 200, "ready")
        with alone(role, tmp_path, server.url) as told:
            assert told.readiness() == 200
            assert "durable   every grant is on disk before it is told" in told.output
    finally:
        if server.process is not None:
            server.kill()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_refuses_a_server_that_cannot_do(role: str, tmp_path: Path, valkey: Server) -> None:
    """In a line with what to do, before it listens."""
    with valkey.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            with alone(role, tmp_path, valkey.url) as refused:
                assert refused.process.wait(20) == 1
                assert refused.output == (
                    f"claimd: the server at {valkey.url} cannot be used: it is a replica of 127.0.0.1:1; "
                    "name the primary, or promote it: REPLICAOF NO ONE\n"
                )
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
