"""`python -m tests.mutation [WORD]`: breaks the code in one way at a time, and checks that the tests notice.

The mutants of an area are in `tests/<area>/mutants.py`, beside the tests that must notice them. The runner works on a
copy in a temporary folder and leaves the checkout as it is. Exit code 0: the tests noticed each mutant; 1: a mutant
survived, or tests failed without one.
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
    """One way to break the code: in `file`, `old` becomes `new`; at least one test of `tests` must fail then.

    `file` and `tests` are paths from the root of the checkout; `tests` may name one test (`file::test`). The file has
    `old` exactly once.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str


def load_mutants() -> list[Mutant]:
    """The mutants of all areas, in the order of their files."""
    found: list[Mutant] = []
    for file in sorted((CHECKOUT / "tests").rglob("mutants.py")):
        module = importlib.import_module(".".join(file.relative_to(CHECKOUT).with_suffix("").parts))
        found += module.MUTANTS
    return found


def passes(tests: str, mutant: Mutant | None = None) -> bool:
    """Whether these tests pass on a copy of the checkout, with the mutant applied if one is given."""
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
    # pytest's 1 is "tests failed"; any other code than 0 and 1 means that the tests did not run.
    if done.returncode not in (0, 1):
        sys.exit(f"the tests in {tests} did not run:\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


def main() -> None:
    """Run the mutants whose names contain the word on the command line, or all without one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="only mutants whose name contains this")
    word = parser.parse_args().word
    chosen = [mutant for mutant in load_mutants() if word in mutant.name]
    for tests in sorted({mutant.tests for mutant in chosen}):
        # Tests that fail without a mutant would seem to notice each one.
        if not passes(tests):
            sys.exit(f"{tests} fails without any mutant")
    survivors = 0
    for mutant in chosen:
        started = time.monotonic()
        killed = not passes(mutant.tests, mutant)
        survivors += not killed
        print(
            f"{'killed  ' if killed else 'SURVIVED'}  {mutant.name:46} {time.monotonic() - started:5.1f} s", flush=True
        )
    sys.exit(survivors > 0)


if __name__ == "__main__":
    main()
