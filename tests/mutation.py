"""`python -m tests.mutation`: breaks claimd on purpose, one way at a time, and shows that the suite notices each.

The mutants stand beside the tests that must notice them, in `tests/<area>/mutants.py`. Works on copies in a temporary
folder; nothing here is changed. Exit 0 if every mutant was killed.
"""

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` in `file` becomes `new`; `tests` are the ones that must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str


def load_mutants() -> list[Mutant]:
    """All mutants, area by area, in the order of their files."""
    found: list[Mutant] = []
    for file in sorted((CHECKOUT / "tests").rglob("mutants.py")):
        module = importlib.import_module(".".join(file.relative_to(CHECKOUT).with_suffix("").parts))
        found += module.MUTANTS
    return found


def passes(tests: str, mutant: Mutant | None = None) -> bool:
    """Whether these tests pass on a copy, with the mutant in it if there is one."""
    with tempfile.TemporaryDirectory() as folder:
        return _passes(tests, mutant, Path(folder))


def _passes(tests: str, mutant: Mutant | None, folder: Path) -> bool:
    ignore = shutil.ignore_patterns(".git", ".venv*", "out", "__pycache__", ".*_cache", "*.egg-info", ".hypothesis")
    copy = folder / "claimd"
    shutil.copytree(CHECKOUT, copy, ignore=ignore)
    if mutant is not None:
        path = copy / mutant.file
        source = path.read_text()
        if source.count(mutant.old) != 1:
            sys.exit(f"the mutant '{mutant.name}' does not fit {mutant.file} any more")
        path.write_text(source.replace(mutant.old, mutant.new))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", tests]
    done = subprocess.run(command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True)
    # 1 is "tests failed"; anything else is a suite that did not even run.
    if done.returncode not in (0, 1):
        sys.exit(f"the tests in {tests} did not run:\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


def main() -> None:
    """Try the mutants whose names contain the word that was given, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="only mutants whose name contains this")
    word = parser.parse_args().word
    chosen = [mutant for mutant in load_mutants() if word in mutant.name]
    for tests in sorted({mutant.tests for mutant in chosen}):
        # Tests that fail by themselves would kill anything.
        if not passes(tests):
            sys.exit(f"{tests} fails without any mutant")
    survivors = 0
    for mutant in chosen:
        begun = time.monotonic()
        dead = not passes(mutant.tests, mutant)
        survivors += not dead
        print(f"{'killed  ' if dead else 'SURVIVED'}  {mutant.name:46} {time.monotonic() - begun:5.1f} s", flush=True)
    sys.exit(survivors > 0)


if __name__ == "__main__":
    main()
