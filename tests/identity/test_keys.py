"""A key for each purpose, and the digest that represents a person."""

import pytest

from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import Passes
from claimd.identity.unauthenticated import Unauthenticated

SECRET = b"s" * 32


def test_each_purpose_has_a_key_of_its_own() -> None:
    """The keys of one secret differ from each other and from the secret; deriving them again gives the same."""
    keys = Keys.derive(SECRET)
    assert len({keys.pass_key, keys.identity_key, SECRET}) == 3
    assert len(keys.pass_key) == len(keys.identity_key) == 32
    assert keys == Keys.derive(SECRET)


def test_another_secret_gives_other_keys() -> None:
    """One changed byte of the secret changes both keys."""
    keys, others = Keys.derive(SECRET), Keys.derive(b"S" + SECRET[1:])
    assert not {keys.pass_key, keys.identity_key} & {others.pass_key, others.identity_key}


def test_a_key_serves_only_its_own_purpose() -> None:
    """A pass signed with the key for identities is rejected."""
    keys = Keys.derive(SECRET)
    forged = Passes(keys.identity_key).issue_pass("night", bytes(16), 2**50)
    assert Passes(keys.pass_key).verify_pass("night", forged, 0) is Unauthenticated.BAD_SIGNATURE


@pytest.mark.parametrize("length", [0, 1, 31])
def test_a_short_secret_is_rejected(length: int) -> None:
    """Under 32 bytes derive raises ValueError."""
    with pytest.raises(ValueError, match="32"):
        Keys.derive(b"s" * length)


def test_keys_are_never_printed() -> None:
    """Neither repr nor str of the keys has any of their bytes."""
    keys = Keys.derive(SECRET)
    printed = f"{keys!r} {keys!s}"
    assert repr(keys.pass_key) not in printed
    assert keys.pass_key.hex() not in printed
    assert "pass_key" not in printed


def test_subjects_are_used_byte_for_byte() -> None:
    """No trimming, folding or normalising: subjects that only look alike are different people."""
    subjects = [
        "a",
        "A",
        " a",
        "a ",
        "a\0",
        "a\n",
        "é",
        "e\u0301",
        "É",
        "\uff11",
        "1",
        "01",
        "\ufb01",
        "fi",
        "ß",
        "ss",
        "\ufeffa",
    ]
    digests = {identity_digest(b"k" * 32, subject) for subject in subjects}
    assert len(digests) == len(subjects)
    assert {len(digest) for digest in digests} == {16}


def test_an_identity_depends_on_the_key() -> None:
    """Without the key a digest cannot be assigned to a subject."""
    assert identity_digest(b"k" * 32, "a") != identity_digest(b"K" * 32, "a")


@pytest.mark.parametrize("subject", ["", "a" * 513, "é" * 257, "\ud800", "a\udfff"])
def test_an_invalid_subject_has_no_digest(subject: str) -> None:
    """ValueError for an empty one, one over 512 bytes (not characters), or one with a lone surrogate."""
    with pytest.raises(ValueError, match=r"sub|surrogates"):
        identity_digest(b"k" * 32, subject)


@pytest.mark.parametrize("subject", ["a" * 512, "é" * 256, "\0"])
def test_the_longest_subjects_are_accepted(subject: str) -> None:
    """A subject of exactly 512 bytes has a digest."""
    assert len(identity_digest(b"k" * 32, subject)) == 16
