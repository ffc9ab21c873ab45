"""Keys for each purpose, and the digest that stands for a person."""

import pytest

from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import Passes
from claimd.identity.unauthenticated import Unauthenticated

SECRET = b"s" * 32


def test_each_purpose_has_a_key_of_its_own() -> None:
    """The keys of one secret differ from each other and from the secret, and come out the same every time."""
    keys = Keys.derive(SECRET)
    assert len({keys.pass_key, keys.identity_key, SECRET}) == 3
    assert len(keys.pass_key) == len(keys.identity_key) == 32
    assert keys == Keys.derive(SECRET)


def test_another_secret_gives_other_keys() -> None:
    """One changed byte of the secret changes both keys."""
    keys, others = Keys.derive(SECRET), Keys.derive(b"S" + SECRET[1:])
    assert not {keys.pass_key, keys.identity_key} & {others.pass_key, others.identity_key}


def test_a_key_serves_only_its_own_purpose() -> None:
    """A pass signed with the key for identities is none."""
    keys = Keys.derive(SECRET)
    forged = Passes(keys.identity_key).issue_pass("night", bytes(16), 2**50)
    assert Passes(keys.pass_key).verify_pass("night", forged, 0) is Unauthenticated.BAD_SIGNATURE


@pytest.mark.parametrize("length", [0, 1, 31])
def test_a_short_secret_is_refused(length: int) -> None:
    """Under 32 bytes there are no keys."""
    with pytest.raises(ValueError, match="32"):
        Keys.derive(b"s" * length)


def test_keys_do_not_show_themselves() -> None:
    """What is printed or logged of the keys has none of their bytes."""
    keys = Keys.derive(SECRET)
    shown = f"{keys!r} {keys!s}"
    assert repr(keys.pass_key) not in shown
    assert keys.pass_key.hex() not in shown
    assert "pass_key" not in shown


def test_subjects_are_taken_byte_for_byte() -> None:
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
    """Without the key nobody can tell whose digest it is."""
    assert identity_digest(b"k" * 32, "a") != identity_digest(b"K" * 32, "a")


@pytest.mark.parametrize("subject", ["", "a" * 513, "é" * 257, "\ud800", "a\udfff"])
def test_what_is_no_subject_has_no_digest(subject: str) -> None:
    """Empty, over 512 bytes (not characters), or half a character: ValueError."""
    with pytest.raises(ValueError, match=r"sub|surrogates"):
        identity_digest(b"k" * 32, subject)


@pytest.mark.parametrize("subject", ["a" * 512, "é" * 256, "\0"])
def test_the_longest_subjects_count(subject: str) -> None:
    """Exactly 512 bytes are still an identity."""
    assert len(identity_digest(b"k" * 32, subject)) == 16
