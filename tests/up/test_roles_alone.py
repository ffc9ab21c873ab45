"""`claimd gateway` and `claimd console`, each alone: what they report on their server, and starts without it."""

from pathlib import Path

import pytest

from tests.servers import Server
from tests.up.alone import alone
from tests.up.running import eventually

ROLES = ["gateway", "console"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reports_durability_and_waits_for_a_server_that_is_down(role: str, tmp_path: Path) -> None:
    """It starts without its server, answers 503, and is ready as soon as the server is there."""
    server = Server("valkey", tmp_path)
    try:
        with alone(role, tmp_path, server.url) as waiting:
            assert waiting.readiness() == 503
            assert "REFUSAL: it does not answer" in waiting.output
            assert "until it does, claims are answered 503" in waiting.output
            server.start()
            eventually(lambda: waiting.readiness() == 200, "ready")
        with alone(role, tmp_path, server.url) as running:
            assert running.readiness() == 200
            assert "durable   every grant is on disk before it is acknowledged" in running.output
    finally:
        if server.process is not None:
            server.kill()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_does_not_start_on_an_unusable_server(role: str, tmp_path: Path, valkey: Server) -> None:
    """It prints one line with advice, before it listens."""
    with valkey.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            with alone(role, tmp_path, valkey.url) as ended:
                assert ended.process.wait(20) == 1
                assert ended.output == (
                    f"claimd: the server at {valkey.url} cannot be used: it is a replica of 127.0.0.1:1; "
                    "name the primary, or promote it: REPLICAOF NO ONE\n"
                )
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
