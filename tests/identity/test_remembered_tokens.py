"""The memory of verified tokens: bounded, and its answers are those that a verification would give at that moment."""

import asyncio
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from claimd.identity import bearer
from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.fresh_keys import REREAD_SECONDS, FixedKeys, FreshKeys
from claimd.identity.jwks import parse_jwks
from claimd.identity.remembered_tokens import MAX_PAYLOAD_BYTES, Remembered, RememberedTokens, hash_token
from claimd.identity.unauthenticated import Unauthenticated
from claimd.identity.verified import Verified
from tests.fuzzing import tried
from tests.identity.identity_provider import ALGORITHMS, public_jwk, raw_token
from tests.identity.test_fresh_keys import Clock, Provider

NOW = 1_800_000_000


def signed(sub: str = "ada", kid: str = "oct", **claims: Any) -> str:
    """A token of the key `kid`, valid for a minute unless `claims` say otherwise."""
    payload = {"sub": sub, "exp": NOW + 60, **claims}
    return raw_token({"alg": ALGORITHMS[kid], "kid": kid}, json.dumps(payload).encode(), kid)


def jwks(*entries: dict[str, Any]) -> bytes:
    """A JWKS document."""
    return json.dumps({"keys": entries}).encode()


class ChangingKeys(FixedKeys):
    """Keys that a test replaces."""

    def use(self, document: bytes) -> None:
        self._keys = parse_jwks("keys", document).keys


@pytest.fixture
def clock() -> Clock:
    """A clock that shows NOW."""
    clock = Clock()
    clock.now = NOW
    return clock


@pytest.fixture
def keys() -> ChangingKeys:
    """The shared secret as the only key."""
    changing = ChangingKeys({})
    changing.use(jwks(public_jwk("oct")))
    return changing


@pytest.fixture
def tokens(keys: ChangingKeys, clock: Clock) -> BearerTokens:
    """A verifier with these keys and this clock."""
    return BearerTokens(keys, TokenRules(), bytes(32), clock)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The tokens whose signature was verified."""
    seen: list[bytes] = []
    judge = bearer._signed_payload

    def noted(raw: bytes, *rest: Any) -> bytes:
        seen.append(raw)
        return judge(raw, *rest)

    monkeypatch.setattr(bearer, "_signed_payload", noted)
    return seen


def test_a_token_is_verified_once(tokens: BearerTokens, verified: list[bytes]) -> None:
    """The same bytes again give the same answer without a verification."""
    first = tokens.verify_now(signed())
    assert isinstance(first, Verified)
    assert tokens.verify_now(signed()) == first
    assert len(verified) == 1


def test_a_remembered_token_expires(tokens: BearerTokens, clock: Clock) -> None:
    """`exp`, with its leeway, holds at each use, and also where the clock goes back."""
    text = signed(exp=NOW + 60)
    for now, expired in ((NOW, False), (NOW + 64, False), (NOW + 65, True), (NOW + 1000, True), (NOW, False)):
        clock.now = now
        assert (tokens.verify_now(text) is Unauthenticated.EXPIRED) is expired


@pytest.mark.parametrize("times", [{"nbf": NOW, "iat": 0}, {"iat": NOW, "nbf": 0}, {"nbf": NOW}, {"iat": NOW}], ids=str)
def test_a_remembered_token_may_be_not_yet_valid(tokens: BearerTokens, clock: Clock, times: Any) -> None:
    """`nbf` and `iat` hold at each use: the clock may have been ahead at the first one."""
    text = signed(**times)
    for now, early in ((NOW, False), (NOW - 5, False), (NOW - 6, True), (NOW, False)):
        clock.now = now
        assert (tokens.verify_now(text) is Unauthenticated.NOT_YET_VALID) is early


def test_a_withdrawn_key_takes_its_tokens_along(tokens: BearerTokens, keys: ChangingKeys) -> None:
    """A remembered token is as unknown as a new one once the JWKS lacks its key."""
    assert isinstance(tokens.verify_now(signed()), Verified)
    keys.use(jwks(public_jwk("rsa")))
    assert tokens.verify_now(signed()) is Unauthenticated.UNKNOWN_KEY


def test_a_replaced_key_takes_its_tokens_along(tokens: BearerTokens, keys: ChangingKeys) -> None:
    """Another key under the same `kid` did not sign them; when the first one is back, they are verified anew."""
    assert isinstance(tokens.verify_now(signed()), Verified)
    keys.use(jwks({**public_jwk("oct"), "k": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg"}))
    assert tokens.verify_now(signed()) is Unauthenticated.BAD_SIGNATURE
    keys.use(jwks({**public_jwk("oct"), "alg": "HS512"}))
    assert tokens.verify_now(signed()) is Unauthenticated.WRONG_ALGORITHM
    keys.use(jwks(public_jwk("oct")))
    assert isinstance(tokens.verify_now(signed()), Verified)


def test_a_rejected_token_is_not_remembered(tokens: BearerTokens, clock: Clock, verified: list[bytes]) -> None:
    """It is judged again each time, and accepted as soon as it is right."""
    good = signed()
    for text in (good[:-4] + "AAAA", signed(sub=""), signed(exp=0), signed(nbf=NOW + 60)):
        verified.clear()
        first = tokens.verify_now(text)
        assert isinstance(first, Unauthenticated)
        assert tokens.verify_now(text) is first
        assert len(verified) == 2
    clock.now += 60
    assert isinstance(tokens.verify_now(signed(nbf=NOW + 60)), Verified)


def test_another_spelling_is_another_token(tokens: BearerTokens, verified: list[bytes]) -> None:
    """Padding and a second, valid signature of the same payload are verified by themselves."""
    text = signed()
    padded = text + "=" * (-len(text.rpartition(".")[2]) % 4)
    assert padded != text
    assert isinstance(tokens.verify_now(text), Verified)
    assert isinstance(tokens.verify_now(padded), Verified)
    assert verified == [text.encode(), padded.encode()]
    assert tokens.verify_now(text[:-1] + ("A" if text[-1] != "A" else "B")) in (
        Unauthenticated.BAD_SIGNATURE,
        Unauthenticated.MALFORMED,
    )


def _remembered(number: int, payload: bytes = b"{}") -> Remembered:
    key: Any = None
    verified = Verified(str(number), number.to_bytes(16, "big"), payload)
    return Remembered(hash_token(b"%d" % number), key, "oct", NOW, None, verified)


def test_the_memory_does_not_grow() -> None:
    """A hundred times as many tokens as places: each place has one of them, and nothing else is kept."""
    memory = RememberedTokens(64)
    for number in range(6400):
        memory.remember(_remembered(number))
    kept = [number for number in range(6400) if memory.recall(hash_token(b"%d" % number))]
    assert len(memory._places) == 64
    assert 48 <= len(kept) <= 64
    assert kept[-1] == 6399


def test_tokens_of_one_place_are_told_apart() -> None:
    """With a single place each token replaces the one before, and none is taken for another."""
    memory = RememberedTokens(1)
    for number in range(10):
        memory.remember(_remembered(number))
        found = memory.recall(hash_token(b"%d" % number))
        assert found is not None
        assert found.verified.subject == str(number)
        assert memory.recall(hash_token(b"%d" % (number + 1))) is None


def test_the_number_of_places_is_a_power_of_two() -> None:
    """Any other number would leave places unused."""
    with pytest.raises(ValueError, match="power of two"):
        RememberedTokens(3)


def test_a_token_takes_as_many_bytes_as_documented() -> None:
    """One with a payload of 200 bytes 645, the longest ones under 2,470: 21 and 81 MB for the whole table."""
    for size, subject, most in ((MAX_PAYLOAD_BYTES, 512, 2_470), (200, 36, 645)):
        memory = RememberedTokens(256)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(256):
            memory._places[number] = Remembered(
                hash_token(b"%d" % number),
                None,  # type: ignore[arg-type] # the key is shared by all tokens
                "oct",
                NOW + number,
                NOW - number,
                Verified(str(number).zfill(subject), number.to_bytes(16, "big"), b"%d".ljust(size) % number),
            )
        taken = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert taken / 256 <= most


def test_a_long_payload_is_not_remembered(tokens: BearerTokens, verified: list[bytes]) -> None:
    """It is verified each time: the memory is bounded in bytes, too."""
    for size, times in ((MAX_PAYLOAD_BYTES + 1, 2), (10, 1)):
        verified.clear()
        text = signed(sub="x", city="y" * size)
        assert tokens.verify_now(text) == tokens.verify_now(text)
        assert len(verified) == times


def test_headers_of_others_are_not_kept(tokens: BearerTokens) -> None:
    """Only headers under a valid signature are, 64 at most."""
    for number in range(100):
        text = raw_token({"alg": "HS256", "kid": "oct", "n": number}, b'{"sub":"a","exp":%d}' % (NOW + 60))
        tokens.verify_now(text[:-4] + "AAAA")
        assert len(tokens._headers) == 0
    for number in range(100):
        text = raw_token({"alg": "HS256", "kid": "oct", "n": number}, b'{"sub":"a","exp":%d}' % (NOW + 60))
        assert isinstance(tokens.verify_now(text), Verified)
        assert 1 <= len(tokens._headers) <= 64


async def test_equal_documents_do_not_empty_the_memory(clock: Clock, verified: list[bytes]) -> None:
    """An attacker causes a reading each 30 s, which must not make all tokens be verified again; a new document does."""
    provider = Provider()
    provider.document = jwks(public_jwk("oct"))
    fresh = FreshKeys(provider, clock)
    await fresh.start()
    tokens = BearerTokens(fresh, TokenRules(), bytes(32), clock)
    for reads, document, times in ((2, jwks(public_jwk("oct")), 1), (3, jwks(public_jwk("oct"), public_jwk("rsa")), 2)):
        assert isinstance(await tokens.verify_token(signed(exp=NOW * 2)), Verified)
        provider.document = document
        clock.now += REREAD_SECONDS
        assert (
            await tokens.verify_token(raw_token({"alg": "HS256", "kid": "stranger"}, b"{}"))
            is Unauthenticated.UNKNOWN_KEY
        )
        assert provider.reads == reads
        assert isinstance(await tokens.verify_token(signed(exp=NOW * 2)), Verified)
        assert len(verified) == times


async def test_without_waiting_there_is_no_answer_while_keys_may_come(clock: Clock) -> None:
    """None before the first JWKS, while a reading may come or is under way; afterwards the key is unknown."""
    provider = Provider()
    provider.document = jwks(public_jwk("oct"))
    fresh = FreshKeys(provider, clock)
    tokens = BearerTokens(fresh, TokenRules(), bytes(32), clock)
    assert tokens.verify_now(signed()) is None
    await fresh.start()
    assert isinstance(tokens.verify_now(signed()), Verified)
    stranger = signed(kid="rsa")
    assert tokens.verify_now(stranger) is None
    assert provider.reads == 1
    provider.open.clear()
    waiting = asyncio.create_task(tokens.verify_token(stranger))
    while provider.reads < 2:  # noqa: ASYNC110 - nothing signals the request
        await asyncio.sleep(0)
    assert tokens.verify_now(stranger) is None
    assert isinstance(tokens.verify_now(signed()), Verified)
    provider.open.set()
    assert await waiting is Unauthenticated.UNKNOWN_KEY
    assert tokens.verify_now(stranger) is Unauthenticated.UNKNOWN_KEY
    clock.now += REREAD_SECONDS
    assert tokens.verify_now(stranger) is None


class WithAndWithoutMemory(RuleBasedStateMachine):
    """Keys rotate, time passes in both directions, tokens come again: memory never changes an answer."""

    ENTRIES = (
        public_jwk("oct"),
        {**public_jwk("oct"), "kid": "second"},
        {**public_jwk("oct"), "k": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg"},
        {**public_jwk("oct"), "alg": "HS384"},
    )
    TEXTS = tuple(
        raw_token({"alg": "HS256", "kid": kid}, json.dumps({"sub": sub, **times}).encode()) + padding
        for kid in ("oct", "second")
        for sub in ("ada", "bob", "")
        for times in ({"exp": NOW + 30}, {"exp": NOW + 10, "nbf": NOW - 10, "iat": NOW - 20})
        for padding in ("", "=")
    )

    @initialize(places=st.sampled_from([1, 4, 1024]))
    def begin(self, places: int) -> None:
        """One verifier with a memory of a few places, shared by all steps."""
        self.clock = Clock()
        self.clock.now = NOW
        self.keys = ChangingKeys({})
        self.remembering = BearerTokens(self.keys, TokenRules(), bytes(32), self.clock, RememberedTokens(places))

    @rule(entries=st.lists(st.sampled_from(ENTRIES), max_size=2, unique_by=lambda entry: str(entry["kid"])))
    def rotate(self, entries: list[dict[str, Any]]) -> None:
        """The provider publishes other keys, or the same ones again."""
        self.keys.use(jwks(*entries))

    @rule(seconds=st.integers(-40, 40))
    def pass_time(self, seconds: int) -> None:
        """The clock is set."""
        self.clock.now = NOW + seconds

    @rule(text=st.sampled_from(TEXTS))
    def verify(self, text: str) -> None:
        """The answer is that of a verifier which has seen no token before."""
        forgetful = BearerTokens(self.keys, TokenRules(), bytes(32), self.clock)
        assert self.remembering.verify_now(text) == forgetful.verify_now(text)


TestWithAndWithoutMemory = WithAndWithoutMemory.TestCase
TestWithAndWithoutMemory.settings = settings(tried(60), stateful_step_count=40)
