"""Each peer of the bench decides claims as claimd does; those that this machine cannot build are skipped."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import jwt
import pytest

from loadtest.bench.peer_programs import (
    AIOHTTP_VISIT,
    CLAIM_PEERS,
    CONSTANT,
    GO,
    NGINX,
    NODE,
    NODE_PIPELINED,
    MissingError,
    Peer,
    Place,
)
from loadtest.bench.peers import answers, keys
from loadtest.bench.rounds import AuditError, PeerRounds
from loadtest.client.answers import Answer, Finding, Reader
from loadtest.client.credentials import TokenIssuer
from loadtest.client.heads import VariedHeads
from loadtest.client.requests import Requests
from loadtest.client.signing_keys import new_jwks
from tests.servers import Server

ROUND = "night"
PEOPLE = 20


class Client:
    """One connection to a peer, which sends whole requests."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.connect()

    def ask(self, request: bytes) -> tuple[bytes, str, bytes]:
        """Status, content type and body of the answer to a request."""
        self._connection.sock.sendall(request)
        response = self._connection.response_class(self._connection.sock)
        response.begin()
        body = response.read()
        return str(response.status).encode(), response.headers.get_content_type(), body

    def close(self) -> None:
        """Close the connection at once."""
        self._connection.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the peers of one test process are built, with a JWKS; each is built once."""
    folder = tmp_path_factory.mktemp("peers")
    (folder / "jwks.json").write_text(new_jwks())
    return folder


@pytest.fixture(params=CLAIM_PEERS, ids=lambda peer: peer.key)
def peer(request: pytest.FixtureRequest, home: Path, valkey: Server) -> Iterator[tuple[Peer, Client]]:
    """A running peer and a client of it, for each that can be built here."""
    yield from _running(request.param, home, valkey)


def _running(peer: Peer, home: Path, valkey: Server) -> Iterator[tuple[Peer, Client]]:
    try:
        with peer.running(home, valkey.url, home / "jwks.json") as (port, _), closing(Client(port)) as client:
            yield peer, client
    except MissingError as error:
        pytest.skip(f"{peer.name}: {error}")


@pytest.mark.xdist_group("peers")
def test_a_peer_grants_each_person_one_claim(peer: tuple[Peer, Client], valkey: Server) -> None:
    """With heads as clients have them; a second claim is a replay, and after the last pack all others are refused."""
    _, client = peer
    claims = Requests(ROUND, "h", VariedHeads(1)).claims(range(PEOPLE), "".join(map(_pass, range(PEOPLE))).encode())
    with valkey.client() as redis:
        rounds = PeerRounds(redis)
        rounds.create(ROUND, PEOPLE - 1)
        found = [_finding(client, claim) for claim in claims]
        assert [finding.answer for finding in found] == [Answer.GRANTED] * (PEOPLE - 1) + [Answer.SOLD_OUT]
        again = _finding(client, claims[3])
        assert again == found[3]._replace(answer=Answer.REPLAYED)
        rounds.audit(ROUND, PEOPLE - 1)
        with pytest.raises(AuditError):
            rounds.audit(ROUND, PEOPLE)


@pytest.mark.xdist_group("peers")
def test_a_peer_answers_with_the_bytes_of_the_others(peer: tuple[Peer, Client], valkey: Server) -> None:
    """No contender is faster for writing less; a round that is not there is answered, too."""
    _, client = peer
    claim = Requests(ROUND, "h").claim(0, _pass(0).encode())
    with valkey.client() as redis:
        assert client.ask(claim) == _expected(b"round_not_found", b"")
        PeerRounds(redis).create(ROUND, 1)
        granted = client.ask(claim)
        (stored,) = redis.hvals(keys.claims_key(ROUND))
        assert granted == _expected(b"granted", stored)
        assert client.ask(claim) == _expected(b"replayed", stored)
        assert client.ask(Requests(ROUND, "h").claim(1, _pass(1).encode())) == _expected(b"sold_out", b"")


# The others send a bare EVALSHA, as it is usually written first.
@pytest.mark.parametrize("peer", [NGINX, GO, NODE, NODE_PIPELINED], indirect=True, ids=lambda peer: peer.key)
@pytest.mark.xdist_group("peers")
def test_a_peer_goes_on_where_the_server_forgot_its_script(peer: tuple[Peer, Client], valkey: Server) -> None:
    """After a restart or a failover; without it the call would be cheaper than in a service that runs for long."""
    _, client = peer
    with valkey.client() as redis:
        PeerRounds(redis).create(ROUND, 2)
        requests = Requests(ROUND, "h")
        assert client.ask(requests.claim(0, _pass(0).encode()))[0] == b"201"
        redis.script_flush()
        assert client.ask(requests.claim(1, _pass(1).encode()))[0] == b"201"


def test_the_peer_of_the_visit_serves_all_of_it(home: Path, valkey: Server) -> None:
    """Round, pass for a bearer token, claim, look-up; it refuses credentials that are not good for them."""
    for _, client in _running(AIOHTTP_VISIT, home, valkey):
        requests = Requests(ROUND, "h", VariedHeads(1))
        token = TokenIssuer(home / "jwks.json").token("ada").encode()
        with valkey.client() as redis:
            PeerRounds(redis).create(ROUND, 2)
        status, _, body = client.ask(requests.read_round(0))
        assert (status, json.loads(body)["status"], json.loads(body)["remaining"]) == (b"200", "open", 2)
        assert client.ask(requests.issue_pass(0, b"x" + token))[0] == b"401"
        forged = jwt.encode({"sub": "ada", "exp": 2**40}, "k" * 32, headers={"kid": "loadtest"}).encode()
        assert client.ask(requests.issue_pass(0, forged))[0] == b"401"
        status, _, body = client.ask(requests.issue_pass(0, token))
        assert status == b"201"
        pass_text = json.loads(body)["pass"].encode()
        assert client.ask(requests.show_claim(0, pass_text))[0] == b"404"
        assert client.ask(requests.claim(0, pass_text[:-1] + b"~"))[0] == b"401"
        assert client.ask(Requests("other", "h").claim(0, pass_text))[0] == b"401"
        status, _, body = client.ask(requests.claim(0, pass_text))
        assert status == b"201"
        assert client.ask(requests.claim(0, pass_text))[0] == b"200"
        assert json.loads(client.ask(requests.show_claim(0, pass_text))[2]) == {"claim": json.loads(body)["claim"]}


def test_the_floor_answers_a_constant(home: Path, valkey: Server) -> None:
    """It is a grant as the others write it."""
    for _, client in _running(CONSTANT, home, valkey):
        finding = Reader(answers.CONSTANT_ROUND).read(*client.ask(Requests(ROUND, "h").claim(0, b"p"))[::2])
        assert finding.answer is Answer.GRANTED


def test_a_peer_without_its_tools_is_named_with_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reason names the packages; the bench goes on without the peer."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    for each, needed in (
        (NGINX, "apt install nginx libnginx-mod-http-lua"),
        (GO, "apt install golang-go golang-github-gomodule-redigo-dev"),
        (NODE, "Node.js 20"),
        (NODE_PIPELINED, "Node.js 20"),
    ):
        with pytest.raises(MissingError, match=needed):
            each.build(Place(home, 1, "unix:///nowhere", home / "jwks.json"))


def test_a_peer_whose_build_fails_is_named_with_the_reason(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a registry that cannot be reached: the last line of the build's output is in the message."""
    folder = home / "failing"
    folder.mkdir()
    (folder / "npm").write_text("#!/bin/sh\necho first\necho no network\nexit 1\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    with pytest.raises(MissingError, match="npm ci` failed: no network"):
        NODE.build(Place(folder, 1, "unix:///nowhere", home / "jwks.json"))


def _pass(number: int) -> str:
    return f"{number:068}"


def _finding(client: Client, request: bytes) -> Finding:
    status, _, body = client.ask(request)
    return Reader(ROUND).read(status, body)


def _expected(outcome: bytes, stored: bytes) -> tuple[bytes, str, bytes]:
    status, content_type, body = answers.answer(ROUND, outcome, stored)
    return str(status).encode(), content_type, body
