"""The answer to operators about an archived round, the same at each of its addresses."""

from http import HTTPStatus

from claimd.domain.archived import Archived
from claimd.http.problems import ProblemError, refused
from claimd.http.replies import archived_json


def in_its_archive(item: Archived) -> ProblemError:
    """410 `archived`, which says where the archive is."""
    # A problem has a title of its own.
    members = {name: value for name, value in archived_json(item).items() if name != "title"}
    detail = f"It was archived at {members['archived_at']} to {item.file}, SHA-256 {item.sha256}."
    return refused(HTTPStatus.GONE, "archived", detail, **members)
