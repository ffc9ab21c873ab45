"""The heads of requests: different as on the night, the same for the same seed, plain enough for every server."""

import random
import re

import httptools

from loadtest.client.front_ends import FRONT_ENDS, device
from loadtest.client.heads import EqualHeads, VariedHeads
from loadtest.client.requests import Requests

PEOPLE = 2_000
PASS = b"p" * 68


class _Head:
    """Collects the header fields of one request from the parser."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_message_complete(self) -> None:
        self.complete = True


def parsed(request: bytes) -> list[tuple[bytes, bytes]]:
    """The header fields of a whole request, as a strict parser reads them."""
    head = _Head()
    httptools.HttpRequestParser(head).feed_data(request)
    assert head.complete
    return head.fields


def test_the_heads_of_a_seed_can_be_had_again() -> None:
    """The same person has the same head, in another process, too; another seed gives other heads."""
    first, again, other = VariedHeads(5), VariedHeads(5), VariedHeads(6)
    assert [first.of(person) for person in range(50)] == [again.of(person) for person in range(50)]
    assert first.of(0) != other.of(0)
    assert first.request_id(3) == again.request_id(3) != first.request_id(4)


def test_people_differ_in_what_people_differ_in() -> None:
    """Address, agent, language and cookies vary, also in length; some have no cookies; all kinds of client occur."""
    heads = VariedHeads(1)
    requests = Requests("r-1", "h", heads)
    fields = [dict(parsed(requests.claim(person, PASS))) for person in range(PEOPLE)]
    assert len({head[b"X-Forwarded-For"] for head in fields}) > 0.9 * PEOPLE
    assert len({head[b"X-Request-Id"] for head in fields}) == PEOPLE
    assert len({head[b"user-agent"] for head in fields}) > 300
    assert len({head.get(b"accept-language") for head in fields}) > 5
    cookies = [head[b"cookie"] for head in fields if b"cookie" in head]
    assert len(set(cookies)) == len(cookies)
    assert 0.3 * PEOPLE < len(cookies) < 0.8 * PEOPLE
    assert len({len(cookie) for cookie in cookies}) > 10
    assert len({tuple(head) for head in fields}) == len(FRONT_ENDS)
    assert {b"." in head[b"X-Forwarded-For"] for head in fields} == {True, False}


def test_every_head_is_one_whole_request_without_a_name_twice() -> None:
    """So a gateway has no reason to reject or to suspect it, and it stays below the 4 KiB that claimd takes of one."""
    requests = Requests("r-1", "h", VariedHeads(2))
    for person in range(PEOPLE):
        for request in (requests.claim(person, PASS), requests.read_round(person)):
            names = [name.lower() for name, _ in parsed(request)]
            assert len(set(names)) == len(names)
            assert len(request) < 2048
            assert all(32 <= byte < 127 for byte in request.replace(b"\r\n", b""))


def test_request_ids_are_uuids() -> None:
    """Version 4, as load balancers make them, each once."""
    heads = VariedHeads(3)
    ids = [heads.request_id(number).removeprefix(b"\r\nX-Request-Id: ") for number in range(10_000)]
    assert len(set(ids)) == len(ids)
    uuid = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}")
    assert all(uuid.fullmatch(each) for each in ids)


def test_equal_heads_differ_in_nothing() -> None:
    """They are what varied ones are compared with."""
    requests = Requests("r-1", "h", EqualHeads())
    assert requests.claim(1, PASS) == requests.claim(2, PASS)


def test_a_front_end_names_its_credentials_in_one_line() -> None:
    """No place for a value is left open, whatever is drawn for it."""
    for front_end in FRONT_ENDS:
        for seed in range(50):
            found = device(front_end, random.Random(seed))
            assert found.credentials == b"\r\nauthorization: "
            text = found.before.left + found.before.right + found.after.left + found.after.right
            assert not re.search(rb"[{}<>]", text)
