"""The requests that every load sends."""

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.heads import VariedHeads
from loadtest.client.requests import CLAIM_END, Requests, claim_head

ADA, BEN = b"a" * PASS_CHARACTERS, b"b" * PASS_CHARACTERS
HEADS = VariedHeads(1)


def test_a_claim_is_a_plain_post_without_a_body() -> None:
    """Each header stands once, and the pass stands last."""
    assert Requests("r-1", "127.0.0.1:8080").claim(0, ADA) == (
        b"POST /v1/rounds/r-1/claims HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 0\r\n"
        b"Accept: application/json\r\nAuthorization: Pass " + ADA + b"\r\n\r\n"
    )


def test_a_loop_may_add_the_pass_by_itself() -> None:
    """What it puts together is the claim that others send."""
    assert claim_head("r-1", "h") + ADA + CLAIM_END == Requests("r-1", "h").claim(0, ADA)


def test_packed_passes_become_one_request_each() -> None:
    """They keep their order and equal the single request."""
    for heads in (None, HEADS):
        requests, single = Requests("r-1", "h", heads), Requests("r-1", "h", heads)
        assert requests.claims([7, 9], ADA + BEN) == [single.claim(7, ADA), single.claim(9, BEN)]


def test_more_header_lines_stand_behind_the_host() -> None:
    """A contender of the bench may need another header."""
    request = Requests("r-1", "h", fields=b"X-Person: 1\r\n").claim(0, ADA)
    assert request.startswith(b"POST /v1/rounds/r-1/claims HTTP/1.1\r\nHost: h\r\nX-Person: 1\r\nContent-Length: 0\r\n")


def test_the_requests_of_a_visit_differ_in_line_and_credentials() -> None:
    """The head of a person is the same in all of them; no body is sent, and a GET has no length of one."""
    requests, before = Requests("r-1", "h", HEADS), HEADS.of(7).before
    sent = [
        requests.read_round(7),
        requests.read_round(7, b'"3"'),
        requests.issue_pass(7, b"t.o.k"),
        requests.claim(7, ADA),
        requests.show_claim(7, ADA),
    ]
    assert [request.partition(b" HTTP/1.1")[0] for request in sent] == [
        b"GET /v1/rounds/r-1",
        b"GET /v1/rounds/r-1",
        b"POST /v1/rounds/r-1/passes",
        b"POST /v1/rounds/r-1/claims",
        b"GET /v1/rounds/r-1/claims/me",
    ]
    fields = [_fields(request) for request in sent]
    assert [head.get(b"authorization") for head in fields] == [None, None, b"Bearer t.o.k", *2 * [b"Pass " + ADA]]
    assert [head.get(b"if-none-match") for head in fields] == [None, b'"3"', None, None, None]
    assert [b"content-length" in head for head in fields] == [False, False, True, True, False]
    assert len({head[b"x-request-id"] for head in fields}) == len(sent)
    assert all(before in request and request.endswith(b"\r\n\r\n") for request in sent)


def _fields(request: bytes) -> dict[bytes, bytes]:
    """The header fields of a request, by their names in lower case; each name stands once."""
    lines = request.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]
    pairs = [line.split(b": ", 1) for line in lines]
    fields = {name.lower(): value for name, value in pairs}
    assert len(fields) == len(lines)
    return fields
