"""Every fault there is, a few times: `make faults` tries each far more often."""

import tempfile
from pathlib import Path

import pytest

from loadtest.faults.catalogue import SCENARIOS, Scenario
from loadtest.faults.storage import SkippedError


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_promises_are_kept(scenario: Scenario) -> None:
    """Whatever breaks: nothing told is lost, nothing is given twice, nobody stays in doubt, and it mends itself."""
    # Not pytest's own folder, whose name is too long for a unix socket.
    with tempfile.TemporaryDirectory(prefix="claimd-faults-") as folder:
        try:
            verdict = scenario.run(Path(folder), scenario.short, lambda tried: None)
        except SkippedError as error:
            pytest.skip(str(error))
        log = (Path(folder) / "claimd.log").read_text(errors="replace")
    assert not verdict.violations, f"{verdict.told}\n{log[-3000:]}"
    assert verdict.tried >= scenario.short
    assert verdict.granted > 0
