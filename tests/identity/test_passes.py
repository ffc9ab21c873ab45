"""Passes: an issued pass is verified to exactly what it was issued for; any other text is rejected."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimd.identity.passes import PASS_CHARACTERS, Passes
from claimd.identity.unauthenticated import Unauthenticated

KEY = bytes(range(32))
IDENTITY = bytes(range(100, 116))
EXPIRES_AT_MS = 1_900_000_000_000
NOW_MS = EXPIRES_AT_MS - 1

PASSES = Passes(KEY)
FAULTS = (Unauthenticated.MALFORMED, Unauthenticated.BAD_SIGNATURE)
# 68 URL-safe characters of six bits each are exactly 51 bytes: no bit is unused.
PASS = PASSES.issue_pass("night", IDENTITY, EXPIRES_AT_MS)


@given(
    identity=st.binary(min_size=16, max_size=16),
    round_id=st.from_regex(r"[a-z0-9][a-z0-9-]{0,63}", fullmatch=True),
    expires_at_ms=st.integers(1, 2**56 - 1),
    epoch=st.integers(0, 2**24 - 1),
)
def test_a_pass_contains_its_identity(identity: bytes, round_id: str, expires_at_ms: int, epoch: int) -> None:
    """Until its last millisecond a pass is verified to the identity and the epoch that it was issued for."""
    text = PASSES.issue_pass(round_id, identity, expires_at_ms, epoch)
    assert len(text) == PASS_CHARACTERS
    assert PASSES.verify_pass(round_id, text, expires_at_ms - 1) == (identity, epoch)


@pytest.mark.parametrize("at", range(PASS_CHARACTERS))
def test_every_changed_character_breaks_a_pass(at: int) -> None:
    """A pass is rejected after any character was replaced, removed or doubled."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
    for other in alphabet:
        changed = PASS[:at] + other + PASS[at + 1 :]
        if changed != PASS:
            assert PASSES.verify_pass("night", changed, NOW_MS) in FAULTS
    assert PASSES.verify_pass("night", PASS[:at] + PASS[at + 1 :], NOW_MS) in FAULTS
    assert PASSES.verify_pass("night", PASS[:at] + PASS[at] + PASS[at:], NOW_MS) in FAULTS


@pytest.mark.parametrize("round_id", ["nigh", "night2", "Night", "", "night\0"])
def test_a_pass_is_for_its_round_only(round_id: str) -> None:
    """The signature includes the round: for any other round the pass is rejected."""
    assert PASSES.verify_pass("night", PASS, NOW_MS) == (IDENTITY, 0)
    assert PASSES.verify_pass(round_id, PASS, NOW_MS) is Unauthenticated.BAD_SIGNATURE


def test_a_pass_ends_exactly_at_its_time() -> None:
    """It is accepted one millisecond before it expires, and rejected at that instant and later."""
    assert PASSES.verify_pass("night", PASS, EXPIRES_AT_MS - 1) == (IDENTITY, 0)
    assert PASSES.verify_pass("night", PASS, EXPIRES_AT_MS) is Unauthenticated.EXPIRED
    assert PASSES.verify_pass("night", PASS, EXPIRES_AT_MS + 1) is Unauthenticated.EXPIRED


def test_a_pass_of_another_key_is_rejected() -> None:
    """A pass issued with another secret has a bad signature."""
    foreign = Passes(KEY[::-1]).issue_pass("night", IDENTITY, EXPIRES_AT_MS)
    assert PASSES.verify_pass("night", foreign, NOW_MS) is Unauthenticated.BAD_SIGNATURE


def test_only_version_2_is_accepted() -> None:
    """A pass of another version is rejected even if its signature is right."""
    payload = b"\x01" + EXPIRES_AT_MS.to_bytes(7, "big") + bytes(3) + IDENTITY
    signed = base64.urlsafe_b64encode(payload + PASSES._mac(payload, "night")).decode()
    assert PASSES.verify_pass("night", signed, NOW_MS) is Unauthenticated.BAD_SIGNATURE


def _spellings() -> list[str]:
    odd = next(
        text
        for text in (PASSES.issue_pass("night", bytes([n]) * 16, EXPIRES_AT_MS) for n in range(256))
        if "-" in text and "_" in text
    )
    return [
        odd.replace("-", "+"),
        odd.replace("_", "/"),
        PASS + "=",
        PASS + "====",
        PASS[:-1] + "=",
        PASS[:-2] + "==",
        PASS[:-1] + "\n",
        " " + PASS[1:],
        PASS + " ",
        PASS[:32] + "\n" + PASS[32:],
        "".join(chr(ord(character) + 0xFEE0) for character in PASS),
        PASS[:-1] + "é",
        PASS[:-1] + "\udcff",
        PASS[:-1] + "\0",
        "",
        "A" * PASS_CHARACTERS,
        "=" * PASS_CHARACTERS,
        PASS * 2,
    ]


@pytest.mark.parametrize("text", _spellings(), ids=range(len(_spellings())))
def test_only_one_spelling_is_a_pass(text: str) -> None:
    """Padding, blanks, the other base64 alphabet and look-alike characters are rejected, not repaired."""
    assert PASSES.verify_pass("night", text, NOW_MS) in FAULTS


@given(
    st.one_of(st.text(), st.text(min_size=68, max_size=68), st.text("AZaz09-_=+/ é\ud800", min_size=68, max_size=68))
)
def test_no_text_raises(text: str) -> None:
    """Any text is rejected with a reason."""
    assert PASSES.verify_pass("night", text, NOW_MS) in FAULTS
