"""The JSON Schemas (2020-12) of the OpenAPI document: of the models of answers and bodies, and of each problem."""

from collections.abc import Iterable
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from claimd.contract.fields import Body
from claimd.contract.problem_document import STANDARD_MEMBERS, ProblemDocument
from claimd.contract.problems import PROBLEM_TYPES, TYPE_PREFIX, Code
from claimd.contract.reference import without_links

Schema = dict[str, Any]

_PREFIX: Final = "#/components/schemas/"
_OPTIONAL_MEMBERS: Final = frozenset(("detail",))


def reference_to(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"{_PREFIX}{name}"}


def problem_name(code: Code) -> str:
    """The name of the schema of a code's problem: `SoldOutProblem`."""
    return f"{code.replace('_', ' ').title().replace(' ', '')}Problem"


def model_schemas(models: Iterable[type[BaseModel]]) -> dict[str, Schema]:
    """The schemas of these models, and of those that they consist of, by name.

    Those of answers allow further members, as later versions may have more; those of bodies do not.
    """
    modes: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        (model, "validation" if issubclass(model, Body) else "serialization") for model in models
    ]
    _, found = models_json_schema(modes, ref_template=f"{_PREFIX}{{model}}", schema_generator=_Generator)
    bodies = {model.__name__ for model in models if issubclass(model, Body)}
    schemas = found.get("$defs", {})
    for name, schema in schemas.items():
        if name not in bodies:
            schema.pop("additionalProperties", None)
        if "description" in schema:
            # What follows concerns readers of the code.
            schema["description"] = " ".join(schema["description"].partition("\n\n")[0].split())
        for member in schema.get("properties", {}).values():
            if "description" in member:
                member["description"] = without_links(member["description"])
    return dict(sorted(schemas.items()))


def problem_schemas(codes: Iterable[Code]) -> dict[str, Schema]:
    """The schemas of all codes, of any problem, and of each code's problem: its one code, and the members it has."""
    document = ProblemDocument.model_json_schema(ref_template=f"{_PREFIX}{{model}}", schema_generator=_Generator)
    members = document["properties"]
    any_problem = {
        "type": "object",
        "description": document["description"],
        "properties": {name: _when_present(members[name]) for name in members if name in STANDARD_MEMBERS},
        "required": _required(members),
    }
    own = {problem_name(code): _problem_schema(code, members) for code in codes}
    return {"Code": document["$defs"]["Code"], "Problem": any_problem, **own}


def _problem_schema(code: Code, members: dict[str, Schema]) -> Schema:
    kind = PROBLEM_TYPES[code]
    statuses = [int(status) for status in (kind.status, kind.unknown_field_status) if status is not None]
    exact = {
        "type": {"type": "string", "const": f"{TYPE_PREFIX}{code}"},
        "status": {"type": "integer", "enum": statuses},
        "code": {"type": "string", "const": code.value, "description": members["code"]["description"]},
    }
    names = [name for name in members if name in STANDARD_MEMBERS or name in kind.members]
    return {
        "type": "object",
        "description": f"{kind.when}\n\n{kind.client}",
        "properties": {name: exact.get(name) or _when_present(members[name]) for name in names},
        "required": _required(names),
    }


def _required(members: Iterable[str]) -> list[str]:
    return [name for name in members if name in STANDARD_MEMBERS - _OPTIONAL_MEMBERS]


def _when_present(schema: Schema) -> Schema:
    """The schema of a member that is absent rather than null."""
    found = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            found |= choice
    return found


class _Generator(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes of names, and gives integers the width that clients need."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as in the base class
        """Never: the name is there already."""
        return False

    def int_schema(self, schema: Any) -> Schema:
        """An integer: a total may be 2^31, which 32 bits do not hold."""
        return {**super().int_schema(schema), "format": "int64"}
