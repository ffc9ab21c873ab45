"""More claimants than packs, from several processes at once, against `claimd up` as a user starts it."""

import json
import subprocess
import sys
from pathlib import Path

from tests.up.running import Up

STOCK = 150
PROCESSES = 4
PEOPLE_EACH = 200
# Each process has half of its people in common with the one before: most people claim from two processes at once.
STEP = PEOPLE_EACH // 2


def test_exactly_the_stock_wins(tmp_path: Path) -> None:
    """500 people in 4 processes send up to four claims each at once, through 2 workers: 150 of them hold one claim."""
    with Up(tmp_path / "data", "--workers", "2").until_ready() as up:
        up.create_round("rush", STOCK)
        gateway = up.process_file()["gateway"]
        secret = (tmp_path / "data" / "secret").read_text().strip()
        base = f"http://{gateway['host']}:{gateway['port']}"
        command = [sys.executable, "-m", "tests.claimants", base, "rush", secret]
        claimants = [
            subprocess.Popen([*command, str(number * STEP), str(PEOPLE_EACH)], stdout=subprocess.PIPE)
            for number in range(PROCESSES)
        ]
        answers = [answer for claimant in claimants for answer in json.loads(claimant.communicate(timeout=60)[0])]
        _, audit = up.console("GET", "/admin/v1/rounds/rush/audit")
    serials: dict[int, set[int]] = {}
    for person, status, serial in answers:
        assert status in (200, 201, 409), answers
        if serial:
            serials.setdefault(person, set()).add(serial)
    assert all(len(held) == 1 for held in serials.values())
    assert sorted(serial for held in serials.values() for serial in held) == list(range(1, STOCK + 1))
    assert sum(status == 201 for _, status, _ in answers) == STOCK
    assert audit["ok"], audit
