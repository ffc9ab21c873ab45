"""schemathesis finds nothing: each side answers good and bad requests as its document has it.

The command `python -m tests.schemathesis --examples 2000` tries more.
"""

import pytest

from tests.schemathesis.running import SIDES, run
from tests.servers import Server

EXAMPLES = 5


@pytest.mark.parametrize("name", SIDES)
async def test_schemathesis_finds_nothing(valkey: Server, name: str) -> None:
    """A few requests of each kind to each operation, the same ones in every run."""
    report = await run(name, valkey.url, examples=EXAMPLES, seed=1)
    assert report.code == 0, report.output
    assert report.content["failures"] == []
    assert report.content["operations"]["tested"] == report.content["operations"]["total"]
    # With credentials that are worth something, some request to each operation gets its answer.
    assert all(counts["accepted"] for counts in report.of_operations().values()), report.of_operations()
