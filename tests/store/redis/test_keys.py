"""The keys on the server, literally: a key that is spelled otherwise loses every round of a running installation."""

from claimd.store.redis import keys
from claimd.store.redis.keys import Partition, claims_key, log_key, round_key, voids_key
from claimd.store.redis.scripts import load_script


def test_a_round_without_a_campaign_is_its_own_campaign_partition_0() -> None:
    """Its keys share a hash tag, so they are in one slot of a cluster."""
    assert Partition.of_round("spring-5") == Partition("spring-5", 0)
    assert keys.of_round("spring-5") == (
        "claimd:1:{spring-5.0}:round:spring-5",
        "claimd:1:{spring-5.0}:claims:spring-5",
        "claimd:1:{spring-5.0}:log",
        "claimd:1:{spring-5.0}:voids:spring-5",
    )


def test_rounds_of_a_partition_share_its_tag_and_its_log() -> None:
    """The tag names the campaign and the number of the partition, the rest of the key the round."""
    partition = Partition("spring", 7)
    assert partition.tag == "{spring.7}"
    assert round_key(partition, "day-1") == "claimd:1:{spring.7}:round:day-1"
    assert claims_key(partition, "day-1") == "claimd:1:{spring.7}:claims:day-1"
    assert voids_key(partition, "day-1") == "claimd:1:{spring.7}:voids:day-1"
    assert log_key(partition) == "claimd:1:{spring.7}:log"


def test_the_keys_of_all_rounds_and_of_the_counts() -> None:
    """Rounds are indexed in keys of their own slots; all counts are in one slot, as one script writes several keys."""
    assert (keys.ROUNDS, keys.ROUNDS_CLOSING, keys.ROUNDS_OPENING) == (
        "claimd:1:rounds",
        "claimd:1:rounds:closing",
        "claimd:1:rounds:opening",
    )
    assert (keys.COUNTS_RUNS, keys.COUNTS_MERGED, keys.COUNTS_PAST, keys.counts_key("h.1")) == (
        "claimd:1:{metrics}:runs",
        "claimd:1:{metrics}:merged",
        "claimd:1:{metrics}:past",
        "claimd:1:{metrics}:counts:h.1",
    )
    assert (keys.METRICS, keys.DOCTOR, keys.INSTALLATION) == (
        "claimd:1:metrics",
        "claimd:1:marks",
        "claimd:1:installation",
    )


def test_the_scripts_take_the_keys_of_a_round_in_this_sequence() -> None:
    """round_archive.lua gets a RoundKeys as it is, claim.lua a part of it."""
    assert load_script("round_archive").keys == keys.RoundKeys._fields
    names = keys.of_round("r")
    assert names.of_claims == tuple(getattr(names, name) for name in load_script("claim").keys)
