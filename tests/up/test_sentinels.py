"""A running claimd behind Sentinels: the primary dies, and claims are granted again without a restart."""

from pathlib import Path

import pytest

from tests.conftest import Pair
from tests.sentinels import watching
from tests.up.running import Up, eventually


@pytest.mark.parametrize("pair", ["valkey"], indirect=True)
def test_claims_go_on_after_a_failover(pair: Pair, tmp_path: Path) -> None:
    """By the gateways and the console of one `claimd up`; the claim of before is replayed."""
    with watching(pair.primary) as sentinels, Up(tmp_path / "data", CLAIMD_REDIS_URL=sentinels.url) as up:
        up.until_ready()
        window = {"opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z"}
        assert up.console("POST", "/admin/v1/rounds", {"id": "r", "title": "T", "total": 9, **window})[0] == 201
        status, claimed = up.claim("r", "ada")
        assert status == 201
        with pair.primary.client() as client:
            # `local` promises nothing about replicas; this test is about the address.
            client.wait(1, 0)
        pair.primary.kill()
        eventually(lambda: up.claim("r", "bob")[0] in (200, 201), "a claim on the new primary")
        status, replayed = up.claim("r", "ada")
        assert (status, replayed["claim"]) == (200, claimed["claim"])
        status, audit = up.console("GET", "/admin/v1/rounds/r/audit")
        assert (status, audit["ok"], audit["claims"]) == (200, True, 2)
        up.stop()
