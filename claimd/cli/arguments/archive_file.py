"""Commands that take a round's id or, without a console, the file that a round was archived to."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from claimd.audit.archive_file import SUFFIX, ArchiveError
from claimd.domain.rounds import is_round_id
from claimd.errors import CommandError


def or_archive(of_round: Callable[..., None], of_file: Callable[..., None]) -> Callable[..., None]:
    """`of_round` as a command, for which `of_file` stands in where its argument is an archive's path, not an id."""

    @functools.wraps(of_round)
    def run(**given: Any) -> None:
        text = given["round_id"]
        # What could be an id is one, whatever lies in this directory: a file of that name is `./r5`.
        if not is_round_id(text) and (text.endswith(SUFFIX) or Path(text).exists()):
            with _readable():
                of_file(Path(text), **given)
        else:
            of_round(**given)

    return run


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except ArchiveError as error:
        raise CommandError(str(error)) from None
