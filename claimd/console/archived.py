"""The answer to operators about an archived round, the same on each of its routes."""

from claimd.contract import details
from claimd.contract.problems import Code
from claimd.domain.archived import Archived
from claimd.http.documents import archived_json
from claimd.http.problems import ProblemError, reject


def in_its_archive(item: Archived) -> ProblemError:
    """410 `archived` with the members of the stub, `file` among them."""
    # Without the round's title: a problem's `title` is that of its code.
    members = {name: value for name, value in archived_json(item).items() if name != "title"}
    detail = details.IN_ITS_ARCHIVE(at=members["archived_at"], file=item.file, sha256=item.sha256)
    return reject(Code.ARCHIVED, detail, **members)
