"""The table of codes is whole, and the only place that puts a status beside a code."""

import ast
from pathlib import Path

import pytest
from pydantic import ValidationError

import claimd
from claimd.contract import details
from claimd.contract.problem_document import STANDARD_MEMBERS, ProblemDocument, problem_example
from claimd.contract.problems import CODE_OF_EDIT, CODE_OF_OUTCOME, PROBLEM_TYPES, Code
from claimd.contract.route import CODES_OF_ANY_REQUEST
from claimd.contract.routes import ALL_ROUTES
from claimd.domain.outcomes import EditOutcome, Outcome
from claimd.http.problems import Problem, reject, reject_unknown_field

PACKAGE = Path(claimd.__file__).parent
FOLDERS = ("http", "gateway", "console")
# The status that aiohttp passes to `handle_error` for a failure of its own.
OF_THE_LIBRARY = frozenset((500,))


def test_every_code_has_a_row() -> None:
    """Each with all that the reference prints, and with members that the document knows."""
    assert set(PROBLEM_TYPES) == set(Code)
    for code, kind in PROBLEM_TYPES.items():
        assert 400 <= kind.status < 600, code
        assert all((kind.title, kind.when, kind.client)), code
        assert set(kind.members) <= set(ProblemDocument.model_fields) - STANDARD_MEMBERS


def test_every_member_of_the_document_belongs_to_a_code() -> None:
    """Or to all."""
    members = {name for kind in PROBLEM_TYPES.values() for name in kind.members}
    assert set(ProblemDocument.model_fields) == members | STANDARD_MEMBERS


def test_every_outcome_has_a_code_or_is_a_grant() -> None:
    """Of claims and of edits."""
    assert set(Outcome) - set(CODE_OF_OUTCOME) == {Outcome.GRANTED, Outcome.REPLAYED}
    assert set(EditOutcome) - set(CODE_OF_EDIT) == {EditOutcome.DONE}
    assert all(code.value == outcome.value for outcome, code in CODE_OF_OUTCOME.items())


def test_every_code_belongs_to_a_route() -> None:
    """Or to any request."""
    used = {code for route in ALL_ROUTES for code in route.codes}
    assert used | set(CODES_OF_ANY_REQUEST) == set(Code)


@pytest.mark.parametrize("code", Code)
def test_a_problem_takes_status_and_title_from_the_table(code: Code) -> None:
    """The code that makes it names no status."""
    document = ProblemDocument.model_validate_json(reject(code, details.NOT_HTTP()).problem.body())
    assert (document.code, document.status) == (code, PROBLEM_TYPES[code].status)


def test_an_unknown_field_is_422() -> None:
    """The one case in which a code has a second status."""
    document = ProblemDocument.model_validate_json(reject_unknown_field("seriel").problem.body())
    assert (document.code, document.status, document.field) == (Code.BAD_REQUEST, 422, "seriel")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": 400}, "not the status"),
        ({"title": "Too early."}, "type and title"),
        ({"version": 3}, "has no member version"),
        ({"hint": "wait"}, "Extra inputs"),
        ({"opens_at": "soon"}, "pattern"),
    ],
)
def test_the_document_rejects_what_the_table_does_not_have(change: dict[str, object], complaint: str) -> None:
    """A check that accepts anything would prove nothing."""
    ProblemDocument.model_validate(problem_example(Code.NOT_OPEN), strict=False)
    with pytest.raises(ValidationError, match=complaint):
        ProblemDocument.model_validate({**problem_example(Code.NOT_OPEN), **change}, strict=False)


@pytest.mark.parametrize("file", [path for folder in FOLDERS for path in (PACKAGE / folder).rglob("*.py")], ids=str)
def test_no_status_is_written_by_hand(file: Path) -> None:
    """Not one of the table's, by number or by name. (That codes are members of Code, mypy checks.)"""
    tree = ast.parse(file.read_text())
    numbers = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is int}
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    statuses = {kind.status for kind in PROBLEM_TYPES.values()}
    assert numbers & statuses <= OF_THE_LIBRARY
    assert names.isdisjoint(status.name for status in statuses if status.name not in Code.__members__)


def test_a_problem_is_hashed_by_identity() -> None:
    """The bytes of a problem are cached by the problem itself, so two that look alike must not be equal."""
    assert Problem(Code.PAUSED) != Problem(Code.PAUSED)
