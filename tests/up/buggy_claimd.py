"""`python -m tests.up.buggy_claimd gateway …`: claimd with a bug, which quotes whatever it was asked for."""

from claimd.cli.app import app
from claimd.http import rounds


def _no_such_luck(text: str) -> bool:
    raise RuntimeError(f"a bug met\n{text}")


if __name__ == "__main__":
    rounds.is_round_id = _no_such_luck
    app()
