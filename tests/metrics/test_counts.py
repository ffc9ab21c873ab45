"""What is counted, and how it is spelled for the server."""

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimd.domain.outcomes import Outcome
from claimd.metrics.counters import add_counters, add_old_snapshot, counters, round_of, settled
from claimd.metrics.counts import Counts, Histogram


@given(st.lists(st.floats(0, 20, allow_nan=False)), st.floats(20, 30))
def test_ages_counted_at_once_are_ages_counted_one_by_one(since: list[float], now: float) -> None:
    """`observe_ages` is `observe` of each age, only cheaper."""
    since.sort()
    one_by_one, at_once = Histogram((0.5, 10.0, 15.0, 25.0)), Histogram((0.5, 10.0, 15.0, 25.0))
    for instant in since:
        one_by_one.observe(now - instant)
    at_once.observe_ages(now, since)
    assert at_once.counts == one_by_one.counts
    assert at_once.total == pytest.approx(one_by_one.total, abs=1e-6)


def some_counts() -> Counts:
    counts = Counts(failed_calls=4)
    counts.claims["r1", Outcome.GRANTED] += 3
    counts.claims["", "granted"] += 1
    counts.refusals["unauthenticated"] += 2
    counts.unauthenticated["expired: at noon"] += 1
    counts.latency_seconds.observe(0.004)
    counts.latency_seconds.observe(99.0)
    counts.batch_claims.observe(17)
    return counts


def saved(counts: Counts) -> dict[bytes, bytes]:
    """As the server gives them back."""
    return {name.encode(): str(value).encode() for name, value in counters(counts).items()}


def test_counters_read_back_as_they_were() -> None:
    """Spelled and read, nothing is lost; a second time, everything has doubled."""
    loaded = Counts()
    assert add_counters(loaded, saved(some_counts()))
    assert counters(loaded) == counters(some_counts())
    assert add_counters(loaded, saved(some_counts()))
    assert counters(loaded) == {name: 2 * value for name, value in counters(some_counts()).items()}


@pytest.mark.parametrize("kind", [Outcome, StrEnum("Reason", ["EXPIRED", "NO_KEY"])])
def test_a_member_of_an_enumeration_counts_as_its_text(kind: type[StrEnum]) -> None:
    """An enumeration as a key of any counter is that key's text, and the same counter."""
    counts, texts = Counts(), Counts()
    for member in kind:
        for into, key in ((counts, member), (texts, member.value)):
            into.refusals[key] += 1
            into.unauthenticated[key] += 1
            into.claims["r1", key] += 1
    assert saved(counts) == saved(texts)
    loaded = Counts()
    assert add_counters(loaded, saved(counts))
    assert set(loaded.refusals) == {member.value for member in kind}


@pytest.mark.parametrize("value", [b"", b"-1", b"1.5", b"nan", b"\xff", b"1e3", "\u0661".encode()])
def test_a_value_that_is_no_number_costs_that_value(value: bytes) -> None:
    """The other counters of the same save are read."""
    loaded = Counts()
    assert not add_counters(loaded, saved(some_counts()) | {b"refusals:not_found": value})
    assert counters(loaded) == counters(some_counts())


@pytest.mark.parametrize("name", [b"", b"new_kind:x", b"\xff\xfe", b"batch_claims", b"batch_claims:wide", b"folded"])
def test_a_name_of_another_version_is_passed_over(name: bytes) -> None:
    """It is not an error: gateways are upgraded one by one."""
    loaded = Counts()
    assert add_counters(loaded, saved(some_counts()) | {name: b"7"})
    assert counters(loaded) == counters(some_counts())


def test_a_bound_of_another_version_counts_for_the_next_larger_one() -> None:
    """No value is lost where bounds have changed, and none is shown as smaller than it was."""
    loaded = Counts()
    assert add_counters(loaded, {b"batch_claims:3": b"5", b"batch_claims:1000": b"1", b"batch_claims:sum": b"2000000"})
    assert loaded.batch_claims.counts[2] == 5
    assert loaded.batch_claims.counts[-1] == 1
    assert loaded.batch_claims.total == 2.0


def test_the_counters_of_a_round() -> None:
    """Only claims are by round; the sum over settled rounds is of none."""
    rounds = {name: round_of(name) for name in counters(some_counts()) if round_of(name)}
    assert rounds == {"claims:r1:granted": "r1"}
    assert settled("claims:r1:granted") == "claims::granted"
    assert round_of("claims::granted") is None


OLD = (
    b'{"at_ms":5,"claims":[["r1","granted",3]],"refusals":{"unauthenticated":2},"histograms":'
    b'{"latency_seconds":[[0,0,0,1,0,0,0,0,0,0,0,0,0,0],0.004],"batch_claims":[[9,0,0,0,0,0,1,0,0,0,0],17.0]},'
    b'"failed_calls":1,"queue_depth":4}'
)


def test_what_the_first_version_saved_is_read() -> None:
    """As it wrote it; before failed calls were counted, they were not there."""
    loaded = Counts()
    assert add_old_snapshot(loaded, OLD) == 5
    assert add_old_snapshot(loaded, OLD.replace(b'"failed_calls":1,', b"")) == 5
    assert counters(loaded) == {
        "claims:r1:granted": 6,
        "refusals:unauthenticated": 4,
        "failed_calls": 1,
        "latency_seconds:0.005": 2,
        "latency_seconds:sum": 8000,
        "batch_claims:1.0": 18,
        "batch_claims:64.0": 2,
        "batch_claims:sum": 34_000_000,
    }


GARBAGE = [b"", b"{", b"[]", b"7", b"null", b"\xff", b'{"at_ms":5}', OLD.replace(b"17.0", b'"x"'), OLD[:-30]]


@pytest.mark.parametrize("text", [*GARBAGE, OLD.replace(b'"granted",3', b'"granted"')])
def test_an_unreadable_old_snapshot_adds_nothing(text: bytes) -> None:
    """Not even the half of it that could be read."""
    loaded = Counts()
    assert add_old_snapshot(loaded, text) is None
    assert counters(loaded) == {}
