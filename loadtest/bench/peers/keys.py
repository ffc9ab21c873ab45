"""The keys of the peers in the server, and their script."""

from pathlib import Path

SCRIPT = (Path(__file__).resolve().parent / "claim_one.lua").read_text()


def round_key(round_id: str) -> str:
    """Return the key of the hash of a round."""
    return f"peer:round:{round_id}"


def claims_key(round_id: str) -> str:
    """Return the key of the hash of its claims."""
    return f"peer:claims:{round_id}"
