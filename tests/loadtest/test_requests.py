"""The claim that every load sends."""

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.requests import claim_request, claim_requests

ADA, BEN = "a" * PASS_CHARACTERS, "b" * PASS_CHARACTERS


def test_a_claim_is_a_plain_post_without_a_body() -> None:
    """Each header stands once, and the pass stands last."""
    assert claim_request("r-1", "127.0.0.1:8080", ADA) == (
        b"POST /v1/rounds/r-1/claims HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: application/json\r\n"
        b"Content-Length: 0\r\nAuthorization: Pass " + ADA.encode() + b"\r\n\r\n"
    )


def test_packed_passes_become_one_request_each() -> None:
    """They keep their order and equal the single request."""
    requests = claim_requests("r-1", "h", (ADA + BEN).encode())
    assert requests == [claim_request("r-1", "h", ADA), claim_request("r-1", "h", BEN)]


def test_more_header_lines_stand_before_the_pass() -> None:
    """A peer of the bench may need another header."""
    (request,) = claim_requests("r-1", "h", ADA.encode(), b"X-Person: 1\r\n")
    assert request.endswith(b"X-Person: 1\r\nAuthorization: Pass " + ADA.encode() + b"\r\n\r\n")
