"""The parser of passes against a slow one, written from the description of the format alone: they always agree."""

import base64
import hashlib
import re

from hypothesis import example, given
from hypothesis import strategies as st

from claimd.identity.passes import Passes
from claimd.identity.unauthenticated import Unauthenticated
from tests.fuzzing import tried

KEY = bytes(range(32))
NOW_MS = 1_900_000_000_000
PASSES = Passes(KEY)
ROUNDS = ("night", "nigh", "a", "0" * 64)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The alphabet, and characters that other encodings use or that look alike.
CHARACTERS = st.sampled_from(ALPHABET + "+/=., \t\r\n\0") | st.characters()
ROUND_IDS = st.sampled_from(ROUNDS)
EXPIRIES = st.integers(0, 2**56 - 1) | st.integers(NOW_MS - 2, NOW_MS + 2)


def _by_the_description(round_id: str, text: str) -> tuple[bytes, int] | Unauthenticated:
    if re.fullmatch(r"[A-Za-z0-9_-]{68}", text, re.ASCII) is None:
        return Unauthenticated.MALFORMED
    raw = base64.urlsafe_b64decode(text)
    version, expires_at_ms, epoch = raw[:1], int.from_bytes(raw[1:8], "big"), int.from_bytes(raw[8:11], "big")
    identity, signature = raw[11:27], raw[27:]
    signed = raw[:27] + round_id.encode()
    right = hashlib.blake2b(signed, digest_size=24, key=KEY, person=b"claimd pass v2").digest()
    if signature != right or version != b"\x02":
        return Unauthenticated.BAD_SIGNATURE
    return (identity, epoch) if expires_at_ms > NOW_MS else Unauthenticated.EXPIRED


def _agreed(round_id: str, text: str) -> tuple[bytes, int] | None:
    verified = PASSES.verify_pass(round_id, text, NOW_MS)
    assert verified == _by_the_description(round_id, text)
    return None if isinstance(verified, Unauthenticated) else verified


@tried(300)
@given(ROUND_IDS, st.text(max_size=100) | st.text(CHARACTERS, min_size=68, max_size=68))
@example("night", "\uff21" * 68)
@example("night", "\udc41" * 68)
@example("night", "A" * 67 + "\u212a")
@example("night", "A" * 66 + "==")
@example("night", "A" * 69)
def test_any_text(round_id: str, text: str) -> None:
    """No text raises, and no text is accepted that was made without the key."""
    assert _agreed(round_id, text) is None


@tried(300)
@given(ROUND_IDS, ROUND_IDS, st.binary(min_size=16, max_size=16), EXPIRIES, st.integers(0, 2**24 - 1))
@example("night", "night", bytes(16), NOW_MS, 0)
@example("night", "night", bytes(16), NOW_MS + 1, 1)
@example("night", "night", b"\xff" * 16, 2**56 - 1, 2**24 - 1)
def test_passes_that_were_issued(
    issued_for: str, presented_to: str, identity: bytes, expires_at_ms: int, epoch: int
) -> None:
    """An issued pass is accepted for its round, with its identity, until its last millisecond; else it is rejected."""
    text = PASSES.issue_pass(issued_for, identity, expires_at_ms, epoch)
    is_good = issued_for == presented_to and expires_at_ms > NOW_MS
    assert _agreed(presented_to, text) == ((identity, epoch) if is_good else None)


@tried(300)
@given(
    st.binary(min_size=16, max_size=16),
    st.lists(st.tuples(st.integers(0, 68), st.integers(0, 2), st.text(CHARACTERS, max_size=2)), min_size=1, max_size=3),
)
def test_passes_that_were_changed(identity: bytes, changes: list[tuple[int, int, str]]) -> None:
    """With characters replaced, removed and inserted, only the original pass is accepted."""
    issued = text = PASSES.issue_pass("night", identity, NOW_MS + 1)
    for at, away, instead in changes:
        text = text[:at] + instead + text[at + away :]
    assert _agreed("night", text) == ((identity, 0) if text == issued else None)


def test_no_bit_of_a_pass_may_differ() -> None:
    """Each of the 408 bits is flipped, alone and together with the next one."""
    raw = int.from_bytes(base64.urlsafe_b64decode(PASSES.issue_pass("night", bytes(range(16)), NOW_MS + 1)), "big")
    for bit in range(408):
        for flipped in (1 << bit, (3 << bit) % (1 << 408)):
            text = base64.urlsafe_b64encode((raw ^ flipped).to_bytes(51, "big")).decode()
            assert _agreed("night", text) is None


def test_a_pass_has_one_spelling() -> None:
    """No other text of up to 70 characters that a lenient parser would take for the same 51 bytes is a pass."""
    text = next(
        one
        for one in (PASSES.issue_pass("night", bytes([n]) * 16, NOW_MS + 1) for n in range(256))
        if "-" in one and "_" in one
    )
    lenient = [text + end for end in ("=", "==", "\n", "\r\n", " ", "A", "\0", "\u200b")]
    lenient += [start + text for start in (" ", "\t", "\ufeff", "A")]
    lenient += [text[:at] + between + text[at:] for at in range(1, 68) for between in ("\n", " ", "=", "!", "\u00ad")]
    lenient += [text.replace("-", "+"), text.replace("_", "/"), text.replace("-", "+").replace("_", "/")]
    lenient += [text[:at] + chr(ord(text[at]) + 0xFEE0) + text[at + 1 :] for at in range(68)]
    lenient += [text[:at] + chr(ord(text[at]) + 0x100) + text[at + 1 :] for at in range(68)]
    lenient += [text.swapcase(), text[::-1], text.casefold()]
    for other in lenient:
        assert _agreed("night", other) is None
