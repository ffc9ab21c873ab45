"""Times, ids and rounds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimd.domain.claims import claim_id
from claimd.domain.rounds import Round, Status, _has_the_form, is_round_id
from claimd.domain.times import MAX_TIME_MS, from_rfc3339, to_rfc3339
from tests.rounds import definition


@given(st.integers(0, MAX_TIME_MS))
def test_a_time_is_parsed_to_what_was_formatted(time_ms: int) -> None:
    """For every instant, to the millisecond, up to the year 9999."""
    text = to_rfc3339(time_ms)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert from_rfc3339(text) == time_ms


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2020-04-20T20:00:00+08:00", "2020-04-20T12:00:00.000Z"),
        ("2020-04-20t12:00:00z", "2020-04-20T12:00:00.000Z"),
        ("2020-04-20T12:00:00.5Z", "2020-04-20T12:00:00.500Z"),
        ("2020-04-20T12:00:00.123000Z", "2020-04-20T12:00:00.123Z"),
    ],
)
def test_other_spellings_of_rfc_3339(text: str, same: str) -> None:
    """Any offset, lower case and fewer digits of the fraction are accepted."""
    assert to_rfc3339(from_rfc3339(text)) == same


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2020-04-20", "2020-04-20T12:00:00", "2020-04-20 12:00:00Z", "2020-02-30T12:00:00Z",
        "2020-04-20T24:00:00Z", "2020-04-20T12:00:00.1234Z", "1969-12-31T23:59:59Z", "2020-04-20T12:00:60Z",
        "\uff12020-04-20T12:00:00Z", "2020-04-20T12:00:00Z\n", "2020-W17-1T12:00:00Z", "9999-12-31T23:59:59-23:59",
    ],
)  # fmt: skip
def test_other_texts_are_rejected(text: str) -> None:
    """The error is a phrase for the author; nothing is rounded."""
    with pytest.raises(ValueError, match=r"\w+ .*"):
        from_rfc3339(text)


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,63}", fullmatch=True), st.integers(1, 2**31))
def test_claim_ids_have_the_form_of_ids(round_id: str, serial: int) -> None:
    """For every round and serial; the id ends in the serial."""
    assert is_round_id(claim_id(round_id, serial))
    assert int(claim_id(round_id, serial).rpartition("-")[2]) == serial


def test_claim_ids_differ_between_rounds() -> None:
    """Also where the concatenations of round and serial are equal."""
    ids = {claim_id(round_id, serial) for round_id in ("a", "a-1", "a-1-1") for serial in (1, 11, 111)}
    assert len(ids) == 9


@pytest.mark.parametrize("text", ["", "-a", "A", "a_b", "a" * 65, "ä", "a\n", "a/b"])
def test_texts_that_are_no_id(text: str) -> None:
    """Upper case, other characters and more than 64 characters are rejected."""
    assert not is_round_id(text)


def test_long_texts_do_not_fill_the_cache() -> None:
    """Only texts that are as short as an id are cached."""
    before = _has_the_form.cache_info().currsize
    for number in range(2000):
        assert not is_round_id(f"{number}" + "a" * 8000)
    assert _has_the_form.cache_info().currsize == before


@pytest.mark.parametrize(
    ("now_ms", "changes", "status"),
    [
        (999, {}, Status.SCHEDULED),
        (1000, {}, Status.OPEN),
        (1999, {}, Status.OPEN),
        (2000, {}, Status.CLOSED),
        (1500, {"paused": True}, Status.PAUSED),
        (1500, {"issued": 3}, Status.SOLD_OUT),
        (1500, {"closed": True}, Status.CLOSED),
        (999, {"closed": True}, Status.CLOSED),
    ],
)
def test_the_window_begins_with_its_first_millisecond_and_ends_before_its_last(
    now_ms: int, changes: dict[str, int], status: Status
) -> None:
    """A round is open while opens_at_ms <= now < closes_at_ms."""
    item = Round(definition(total=3, opens_at_ms=1000, closes_at_ms=2000), **changes)  # type: ignore[arg-type]
    assert item.status(now_ms) is status
