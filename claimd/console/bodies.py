"""Decodes what operators send into the models of `claimd.contract.edits`, or ends the request with a problem."""

from typing import Any, TypeVar

from pydantic import ValidationError

from claimd.contract.field_sentences import OF_FIELD, fault
from claimd.contract.fields import Body
from claimd.contract.problems import Code
from claimd.http.problems import reject

_AnyBody = TypeVar("_AnyBody", bound=Body)


def validated(model: type[_AnyBody], document: dict[str, Any]) -> _AnyBody:
    """The document as an instance of `model`. Raises ProblemError: 422 `invalid_round` that names the field."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        detail = fault(dict(first))
        # An error of the body as a whole has no `loc`: its message begins with the field. (A `loc` may be empty text.)
        if first["loc"]:
            field = ".".join(map(str, first["loc"]))
            detail = OF_FIELD(field=field, fault=detail)
        else:
            field = str(detail).partition(" ")[0].rstrip(":")
        raise reject(Code.INVALID_ROUND, detail, field=field) from None
