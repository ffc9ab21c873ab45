"""`python -m tests.up.buggy_claimd gateway …`: claimd with a bug, an exception that quotes the request's path."""

from claimd.cli.app import app
from claimd.gateway import rounds


def _raise_with(text: str) -> bool:
    raise RuntimeError(f"a bug met\n{text}")


if __name__ == "__main__":
    # The name that the module has imported.
    vars(rounds)["is_round_id"] = _raise_with
    app()
