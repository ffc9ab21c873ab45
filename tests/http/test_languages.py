"""Problems are in the language that `Accept-Language` prefers: every title, and every sentence of `detail`."""

import ast
import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from pydantic import BaseModel

import claimd
from claimd.contract import edits, field_sentences
from claimd.contract.fields import Body
from claimd.contract.problems import PROBLEM_TYPES, Code
from claimd.domain.sentences import Language, Template
from claimd.http.languages import preferred_language
from claimd.http.problems import Problem
from claimd.http.raw_answers import problem_answer
from tests.http.raw import connected
from tests.http.serving import ADMIN, Served, open_round, pass_for

PACKAGE = Path(claimd.__file__).parent
CHINESE = re.compile("[一-鿿]")


@pytest.mark.parametrize(
    ("value", "chinese"),
    [
        ("", False),
        ("zh", True),
        ("zh-CN,zh;q=0.9,en;q=0.8", True),
        ("zh-Hans", True),
        ("ZH-tw", True),
        ("zh-Hant-HK , en;q=0.5", True),
        ("yue-Hant-HK", True),
        ("en-US,en;q=0.9,zh-CN;q=0.8", False),
        ("en,zh", False),
        ("zh,en", True),
        ("en;q=0.7, zh;q=0.8", True),
        ("de, zh;q=0.1", True),
        ("de", False),
        ("de, en;q=0.2, zh;q=0.1", False),
        ("*", False),
        ("zh, *;q=0.5", True),
        ("*, zh;q=0.5", False),
        ("en;q=0, *", True),
        ("zh;q=0", False),
        ("de, en;q=0", False),
        ("zh;q=0, *", False),
        ("zh-TW;q=0, zh-CN", True),
        (",, zh ,", True),
        ("zh; q=1", True),
        ("zh;q=1.001", False),
        ("zh;q=2", False),
        ("zh;q=", False),
        ("zh;level=1", False),
        ("zh_CN", False),
        ("zh-", False),
        ("zh, \xff", False),
        ("zh" + ", de" * 100, True),
    ],
)
def test_the_preferred_language_is_chosen(value: str, chinese: bool) -> None:
    """By quality, then by order; English where the header prefers neither, or is malformed."""
    expected = Language.CHINESE if chinese else Language.ENGLISH
    assert preferred_language(value.encode("latin-1")) is expected


@pytest.mark.parametrize("code", Code)
def test_every_title_is_there_in_both_languages(code: Code) -> None:
    """Each ends as a sentence of its language does."""
    kind = PROBLEM_TYPES[code]
    assert kind.title_in(Language.ENGLISH) == kind.title
    assert kind.title.endswith(".")
    assert kind.title.isascii()
    assert CHINESE.search(kind.title_in(Language.CHINESE))
    assert kind.title_zh.endswith("。")


def _templates() -> list[tuple[str, str, str]]:
    """File and line, English and Chinese of every template in claimd."""
    return [
        (f"{file.relative_to(PACKAGE)}:{node.lineno}", *(ast.literal_eval(argument) for argument in node.args))
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Template"
        # Its Chinese is in a table that has tests of its own.
        if file.name != "field_sentences.py" or isinstance(node.args[1], ast.Constant)
    ]


def _names(template: str) -> set[tuple[str | None, str | None]]:
    return {(name, conversion) for _, name, _, conversion in Formatter().parse(template) if name is not None}


TEMPLATES = _templates()


@pytest.mark.parametrize(("place", "en", "zh"), TEMPLATES, ids=[place for place, _, _ in TEMPLATES])
def test_every_sentence_is_there_in_both_languages(place: str, en: str, zh: str) -> None:
    """With the same values, but for what a library says in English."""
    assert en.isascii()
    assert CHINESE.search(zh) or zh == "{field}：{fault}" or zh == en.replace("must match", "必须符合")
    assert _names(zh) - {("library", None)} <= _names(en) | {("line", None), ("column", None)}
    assert _names(en) - {("library", None)} <= _names(zh)


def test_the_search_finds_templates() -> None:
    """A search that finds nothing would prove nothing."""
    assert len(TEMPLATES) > 50
    assert {place.partition(":")[0] for place, _, _ in TEMPLATES} == {
        "contract/details.py",
        "contract/field_sentences.py",
        "domain/strict_json.py",
        "domain/times.py",
    }


# What pydantic may say about each kind of node of a model, beyond the faults of claimd's own validators.
_FAULTS_OF_NODE: dict[str, dict[str, str | None]] = {
    "str": {
        "string_type": None,
        "string_unicode": None,
        "string_too_short": "min_length",
        "string_too_long": "max_length",
    },
    "bool": {"bool_type": None},
    "int": {"int_type": None, "greater_than_equal": "ge", "less_than_equal": "le"},
    "dict": {"dict_type": None, "too_long": "max_length"},
    "list": {"list_type": None, "too_short": "min_length", "too_long": "max_length"},
    "model-fields": {"missing": None, "extra_forbidden": None},
}
_WITHOUT_FAULTS = {"model", "model-field", "default", "any", "no-info"}


def _nodes(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, dict):
        return _nodes_of(schema)
    return [node for item in schema for node in _nodes(item)] if isinstance(schema, list | tuple) else []


def _nodes_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    own: list[dict[str, Any]] = [schema] if isinstance(schema.get("type"), str) else []
    return own + [node for name, item in schema.items() if name not in ("metadata", "ref") for node in _nodes(item)]


BODIES: list[type[BaseModel]] = [
    model for model in vars(edits).values() if isinstance(model, type) and issubclass(model, Body) and model is not Body
]


@pytest.mark.parametrize("model", BODIES)
def test_every_fault_of_a_field_is_there_in_chinese(model: type[BaseModel]) -> None:
    """By what each model is made of: a new kind of field needs its faults in the table."""
    possible: set[str] = set()
    for node in _nodes(model.__pydantic_core_schema__):
        kind = str(node["type"])
        if kind not in _FAULTS_OF_NODE and kind not in _WITHOUT_FAULTS and not kind.startswith("function"):
            pytest.fail(f"{model.__name__} has a {kind}: what may pydantic say about it?")
        faults = _FAULTS_OF_NODE.get(kind, {})
        possible |= {fault for fault, option in faults.items() if option is None or option in node}
        assert not {"pattern", "gt", "lt", "multiple_of"} & set(node)
    assert {"missing", "extra_forbidden"} & possible
    assert possible <= set(field_sentences.CHINESE_OF_TYPE)


BAD_BODIES = [
    b"[]",
    b"\xff",
    b"{",
    b'{"a":1,"a":2}',
    b'{"a":NaN}',
    b'{"a":1e999}',
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":18446744073709551616}',
    b"[" * 3000 + b"]" * 3000,
    b"{}",
    b'{"x":1}',
    b'{"id":"A","title":"","total":-1,"opens_at":"2026-01-01","closes_at":1}',
    b'{"id":"a","title":1}',
    b'{"id":"a","title":"t","total":-1}',
    b'{"id":"a","title":"t","total":9999999999}',
    b'{"id":"a","title":"t","total":"1"}',
    b'{"id":"a","title":"t","total":1,"opens_at":"2026-01-01"}',
    b'{"id":"a","title":"t","total":1,"opens_at":"2026-01-01T00:00:00"}',
    b'{"id":"a","title":"t","total":1,"opens_at":"2026-02-31T00:00:00Z"}',
    b'{"id":"a","title":"t","total":1,"opens_at":"soon"}',
    b'{"id":"a","title":"t","total":1,"opens_at":"2026-01-01T00:00:00Z","closes_at":"2025-01-01T00:00:00Z"}',
    b'{"id":"a","title":"t","total":1,"opens_at":"2026-01-01T00:00:00Z","closes_at":"2027-01-01T00:00:00Z","pack":[]}',
    (
        b'{"id":"a","title":"t","total":1,"opens_at":"2026-01-01T00:00:00Z","closes_at":"2027-01-01T00:00:00Z",'
        b'"eligibility":{"a":[]}}'
    ),
    (
        b'{"id":"a","title":"t","total":1,"opens_at":"2026-01-01T00:00:00Z","closes_at":"2027-01-01T00:00:00Z",'
        b'"eligibility":{"a":[{}]}}'
    ),
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_wrong_bodies_are_explained_in_chinese(console: Served, body: bytes) -> None:
    """The same code, members and status as in English."""
    documents = {}
    for language in ("en", "zh-CN"):
        headers = {**ADMIN, "Content-Type": "application/json", "Accept-Language": language}
        async with console.http.post("/admin/v1/rounds", data=body, headers=headers) as answer:
            documents[language] = await answer.json(content_type=None)
            assert answer.headers["Vary"] == "Accept-Language"
            assert answer.headers["Content-Language"] == ("en" if language == "en" else "zh-Hans")
    english, chinese = documents["en"], documents["zh-CN"]
    for name in ("title", "detail"):
        assert not CHINESE.search(english[name])
        assert CHINESE.search(chinese[name]), chinese
    assert {**english, "title": "", "detail": ""} == {**chinese, "title": "", "detail": ""}
    # No text of a library where there is a Chinese one.
    assert not re.search(r"[a-z]+ [a-z]+ [a-z]+", chinese["detail"]), chinese


async def test_a_refused_claim_is_in_chinese(gateway: Served) -> None:
    """As are problems of aiohttp's own; what goes to developers in `WWW-Authenticate` stays English."""
    await open_round(gateway.store, total=0)
    asked = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8", "User-Agent": "a", "Content-Type": "application/json"}
    headers = {**asked, "Authorization": f"Pass {pass_for('ada')}"}
    async with gateway.http.post("/v1/rounds/night/claims", data=b"{}", headers=headers) as answer:
        document = await answer.json(content_type=None)
        assert (document["code"], document["title"]) == ("sold_out", "本轮已领完。")
    async with gateway.http.post("/v1/rounds/night/passes", headers=asked) as answer:
        assert CHINESE.search((await answer.json(content_type=None))["title"])
        assert answer.headers["WWW-Authenticate"].isascii()
    async with connected(gateway.port) as client:
        await client.send(
            b"POST /v1/rounds/night/passes HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\nAccept-Language: zh\r\n\r\n"
        )
        assert CHINESE.search((await client.answer()).document["detail"])


async def test_two_headers_are_one_list(gateway: Served) -> None:
    """RFC 9110, section 5.3."""
    async with connected(gateway.port) as client:
        await client.send(
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\nAccept-Language: en;q=0.5\r\nAccept-Language: zh\r\n\r\n"
        )
        assert (await client.answer()).headers["content-language"] == "zh-Hans"


def test_the_bytes_of_a_problem_are_those_of_its_language() -> None:
    """Encoded once for each, with a length in bytes."""
    problem = Problem(Code.SOLD_OUT)
    for language in Language:
        head, _, body = problem_answer(problem, 0, language).partition(b"\r\n\r\n")
        assert body == problem.body(language)
        assert b"Content-Length: %d\r\n" % len(body) in head
        assert f"Content-Language: {language}".encode() in head
        assert b"\r\nVary: Accept-Language" in head
    assert problem_answer(problem, 0) == problem_answer(problem, 0, Language.ENGLISH)


def test_a_sentence_keeps_the_values_that_it_is_given() -> None:
    """Braces in a value are no names of values."""
    template = Template("There is no {name!r}.", "没有 {name!r}。")
    assert template(name="{x}").text(Language.CHINESE) == "没有 '{x}'。"
    assert str(template(name="{x}")) == "There is no '{x}'."
