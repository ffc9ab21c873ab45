"""A data directory as an orderly stop leaves it: a round with claims in it. Made once, and copied for each test."""

import shutil
from pathlib import Path

from tests.up.running import Up

ROUND = "r"
CLAIMS = 40


def person(number: int) -> str:
    """The person of a claim; 0 to CLAIMS - 1 have one, with the serials 1 to CLAIMS."""
    return f"person-{number}"


def make_data_with_claims(data: Path) -> None:
    """Start `claimd up` on a new data directory, create a round with CLAIMS claims, stop."""
    with Up(data).until_ready() as up:
        make_claims(up)
        assert up.stop() == 0


def make_claims(up: Up) -> None:
    """Create the round and make the claims."""
    up.create_round(ROUND)
    for number in range(CLAIMS):
        assert up.claim(ROUND, person(number))[0] == 201


def copy_data(data: Path, copy: Path) -> Path:
    """Copy a data directory whose `claimd up` has stopped, with all modes."""
    return Path(shutil.copytree(data, copy))
