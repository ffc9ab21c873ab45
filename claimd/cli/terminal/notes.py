"""Notes on stderr, beside the output of a command: consequences of a round's state that are easily overlooked."""

import time
from typing import Any

import typer

from claimd.cli.terminal.printable import printable
from claimd.domain.times import from_rfc3339


def note_what_follows(state: dict[str, Any]) -> None:
    """After a change: a line where the round will not do what its status, or the command, may lead to expect."""
    round_id = state["id"]
    if state["status"] == "scheduled" and state["paused"]:
        _note(f"{round_id} is paused: when it opens, at {state['opens_at']}, claims are refused until it is resumed")
    elif state["status"] == "closed" and from_rfc3339(state["closes_at"]) > time.time() * 1000:
        _note(f"{round_id} is closed for good: an edit or a resumption does not open it again")
    elif state["status"] == "closed":
        _note(f"{round_id} is over since {state['closes_at']}: it opens again only with a later --closes-at")
    elif state["status"] == "sold_out":
        _note(f"{round_id} is sold out: a higher total adds packs")


def warn_open_at_once(state: dict[str, Any]) -> None:
    """After a creation: a warning where people can claim already."""
    if state["status"] == "open":
        _note(
            f"WARNING: {state['id']} is open already (it opens at {state['opens_at']}): claims are granted now. "
            f"If that is a mistake: claimd round delete {state['id']}"
        )


def _note(sentence: str) -> None:
    typer.echo(printable(sentence), err=True)
