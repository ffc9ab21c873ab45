"""Renders an OpenAPI document of this project as one HTML page: without scripts, and without anything to load.

The document has the whole content; here is only how it looks. The style is part of the page, and the policy of the page
allows this one style by its digest.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

Json = Mapping[str, Any]

_FOLDER: Final = Path(__file__).parent


def page(document: Json, document_path: str) -> str:
    """The page of a document; `document_path` is where the document itself is served."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), undefined=StrictUndefined, autoescape=True, trim_blocks=True
    )
    environment.filters |= {
        "markdown": _markdown,
        "inline": _inline,
        "pretty": _pretty,
        "type_of": type_of,
        "component": _component,
        "resolve": _resolver(document),
    }
    return environment.get_template("page.html.jinja").render(
        document=document,
        document_path=document_path,
        style=Markup(_style()),  # noqa: S704 - a file of this package
        groups={tag["name"]: list(_operations(document, tag["name"])) for tag in document["tags"]},
        header_names=dict(_header_names(document)),
        headings=[line.removeprefix("## ") for line in _prose(document) if line.startswith("## ")],
    )


@cache
def content_security_policy() -> str:
    """The value of `Content-Security-Policy` for every page: its own style, the empty icon, and nothing else."""
    digest = b64encode(sha256(_style().encode()).digest()).decode()
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"{nothing}; style-src 'sha256-{digest}'; img-src data:"


def type_of(schema: Json) -> Markup:
    """The type of a value in a few words, with links to the schemas that it names."""
    if "$ref" in schema:
        return Markup('<a href="#schema-{0}">{0}</a>').format(_component(schema))
    if "const" in schema:
        return Markup("<code>{}</code>").format(json.dumps(schema["const"]))
    if "enum" in schema:
        return Markup(" | ").join(Markup("<code>{}</code>").format(json.dumps(value)) for value in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return Markup(" or ").join(type_of(choice) for choice in schema[several])
    if schema.get("type") == "array":
        return Markup("list of {}").format(type_of(schema["items"]))
    if isinstance(schema.get("additionalProperties"), Mapping):
        return Markup("object of {}").format(type_of(schema["additionalProperties"]))
    return Markup("{}").format(" ".join((str(schema.get("type", "any value")), *_bounds(schema))))


def _bounds(schema: Json) -> Iterator[str]:
    for least, most, unit in (("minLength", "maxLength", "characters"), ("minimum", "maximum", "")):
        if least in schema and most in schema:
            yield f"({schema[least]:,} to {schema[most]:,}{' ' if unit else ''}{unit})"
        elif least in schema:
            yield f"(at least {schema[least]:,}{' ' if unit else ''}{unit})"
    if "format" in schema and schema["format"] != "int64":
        yield f"({schema['format']})"


def _operations(document: Json, tag: str) -> Iterator[Json]:
    """The operations of a tag, each with its methods and its path; HEAD stands with GET, which it repeats."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if tag in operation["tags"] and method != "head":
                also = ["HEAD"] if method == "get" and "head" in item else []
                yield {**operation, "methods": [method.upper(), *also], "path": path}


def _header_names(document: Json) -> Iterator[tuple[str, str]]:
    """The name of each header among the components, by its id there, as the answers have it."""
    operations = (operation for item in document["paths"].values() for operation in item.values())
    answers = chain.from_iterable(operation["responses"].values() for operation in operations)
    for answer in chain(answers, document["components"]["responses"].values()):
        yield from ((_component(header), name) for name, header in answer["headers"].items() if "$ref" in header)


def _component(reference: Json) -> str:
    """The last part of a reference: the name of the component."""
    return str(reference["$ref"]).rpartition("/")[2]


def _resolver(document: Json) -> Any:
    def resolve(item: Json) -> Json:
        """The object that a reference names; any other object as it is."""
        found: Json = item
        if "$ref" in item:
            found = document
            for name in item["$ref"].removeprefix("#/").split("/"):
                found = found[name]
        return found

    return resolve


def _prose(document: Json) -> list[str]:
    return str(document["info"]["description"]).splitlines()


def _markdown(text: str) -> Markup:
    rendered = _renderer().render(text)
    return Markup(rendered.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>"))  # noqa: S704


def _inline(text: str) -> Markup:
    """Markdown of one line, without a paragraph around it."""
    return Markup(_renderer().renderInline(text))  # noqa: S704


@cache
def _renderer() -> MarkdownIt:
    # Without HTML: what looks like a tag is text.
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


@cache
def _style() -> str:
    return (_FOLDER / "page.css").read_text()
