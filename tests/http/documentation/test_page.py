"""The page shows all of the document, and neither runs nor loads anything; in a real browser where one is installed."""

import asyncio
import base64
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from claimd.contract.openapi import CONSOLE_API, PUBLIC_API, Api, openapi
from claimd.http.documentation.page import content_security_policy, page, type_of
from tests.http import serving
from tests.servers import Server

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
APIS = [PUBLIC_API, CONSOLE_API]
# Elements without an end.
VOID = {"meta", "link", "br", "hr", "img"}


class Elements(HTMLParser):
    """The elements of a page: names with attributes, what was left open, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for the beginning of an element."""
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Called by the parser for the end of an element."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Called by the parser with text."""
        self.texts.append(data)


def _page(api: Api) -> str:
    return page(openapi(api), api.document.path)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_everything_of_the_document_is_on_the_page(api: Api) -> None:
    """Every operation with its path and codes, every schema with its members."""
    document = openapi(api)
    elements = Elements(_page(api))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    text = " ".join(elements.texts)
    assert elements.open == []
    assert len(ids) == len(set(ids))
    for path, item in document["paths"].items():
        assert path in text
        # HEAD is shown with GET.
        assert {operation["operationId"] for method, operation in item.items() if method != "head"} <= set(ids)
    for name in document["components"]["headers"]:
        assert f"header-{name}" in ids
    for name, schema in document["components"]["schemas"].items():
        assert f"schema-{name}" in ids
        assert all(member in text for member in schema.get("properties", ()))
    assert all(code in text for code in document["components"]["examples"])


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_no_markdown_is_left(api: Api) -> None:
    """Every text of the document that has code in it is rendered, short ones as well."""
    assert [text for text in Elements(_page(api)).texts if "`" in text] == []


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_every_link_within_the_page_leads_somewhere(api: Api) -> None:
    """And every other one leads to the document, or to a page of the standards."""
    elements = Elements(_page(api))
    ids = {attributes["id"] for _, attributes in elements.found if "id" in attributes}
    links = {attributes["href"] or "" for name, attributes in elements.found if name == "a"}
    assert {link for link in links if link.startswith("#")} <= {f"#{name}" for name in ids}
    others = {link for link in links if not link.startswith("#")}
    # The console has no CORS.
    cors = {"https://fetch.spec.whatwg.org/#http-cors-protocol"} if api is PUBLIC_API else set()
    assert others == {api.document.path, "https://www.rfc-editor.org/rfc/rfc9457"} | cors


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_nothing_is_run_or_loaded(api: Api) -> None:
    """No script, no form, no style attribute, no address but in links; the policy allows the one style there is."""
    text = _page(api)
    elements = Elements(text)
    assert {name for name, _ in elements.found}.isdisjoint({"script", "iframe", "object", "form", "img"})
    for name, attributes in elements.found:
        assert not any(attribute.startswith("on") or attribute in ("src", "style") for attribute in attributes)
        assert name != "link" or attributes["href"] == "data:,"
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = dict(part.strip().split(" ", 1) for part in content_security_policy().split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == f"'sha256-{digest}'"


def test_what_looks_like_html_is_text() -> None:
    """A description that has an element in it cannot become one."""
    document: dict[str, Any] = {**openapi(PUBLIC_API)}
    document["info"] = {**document["info"], "description": "## A\n\n<script>x</script>", "summary": "<b>bold</b>"}
    text = page(document, "/x")
    assert "<script>" not in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/Claim"}, '<a href="#schema-Claim">Claim</a>'),
        ({"type": "integer", "minimum": 1, "format": "int64"}, "integer (at least 1)"),
        ({"type": "string", "minLength": 1, "maxLength": 200}, "string (1 to 200 characters)"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"const": "no-store"}, "<code>&#34;no-store&#34;</code>"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "object of boolean"),
    ],
)
def test_a_type_is_a_few_words(schema: dict[str, Any], words: str) -> None:
    """Each kind of schema that the documents have."""
    assert type_of(schema) == words


def _seen(url: str, folder: Path) -> tuple[str, str]:
    """The page as a browser has it, and what the browser reports."""
    assert BROWSER is not None
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={folder / 'profile'}"]
    words += ["--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom", url]
    run = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return run.stdout, run.stderr


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
async def test_a_browser_shows_the_page_under_its_policy(valkey: Server, tmp_path: Path) -> None:
    """The browser has the whole page, and nothing to report: neither the policy nor an error."""
    async with serving.gateway(valkey.url) as served:
        url = f"http://127.0.0.1:{served.port}/docs"
        shown, reported = await asyncio.to_thread(_seen, url, tmp_path)
    assert "Read a round" in shown
    assert "Content Security Policy" not in reported
    assert "CONSOLE" not in reported
