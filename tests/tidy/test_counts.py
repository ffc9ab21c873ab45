"""What the pages count and list is what the code has: a number or a list that can be derived is compared here."""

import re
import tomllib
from collections import Counter

import pytest

from claimd.contract.limits import ANSWER_SECONDS, IDLE_SECONDS, REQUEST_SECONDS
from claimd.engine.batcher import BatchLimits
from claimd.gateway.lane.budget import WORK_PER_ITERATION
from claimd.http.most_connections import RESERVED_FILES
from claimd.identity.unauthenticated import Unauthenticated
from claimd.settings import Settings
from claimd.store.ports import MAX_BATCH
from claimd.store.redis import keys
from claimd.supervisor.watch import HUNG_SECONDS
from loadtest.crowd.schedule import people_for
from loadtest.drop import sizes as sizes_of_drops
from loadtest.drop.sizes import Visits
from loadtest.faults.catalogue import FAULTS
from tests.mutation import load_mutants
from tests.simulation.test_simulation import SEEDS
from tests.tidy.pages import names, page, rows, section
from tests.tidy.words import CHECKOUT, files

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PROJECT = tomllib.loads(page("pyproject.toml"))


def number(text: str) -> float:
    """The number that a page writes in digits, with commas, or as a word up to ten."""
    return _WORDS.index(text) if text in _WORDS else float(text.replace(",", ""))


def _found(pattern: str, name: str) -> str:
    """What the group of a pattern matches in a page, where line ends count as spaces. It must match once."""
    matches = re.findall(pattern, " ".join(page(name).split()))
    assert len(matches) == 1, f"{name}: '{pattern}' matches {len(matches)} times"
    return str(matches[0])


def test_the_number_of_mutants() -> None:
    """docs/testing.md: all of them, and those that the simulation alone must notice."""
    mutants = load_mutants()
    # In fifties, as each new mutant would else need an edit of the page.
    assert number(_found(r"There are more than (\d+) mutants", "docs/testing.md")) == len(mutants) // 50 * 50
    broken = Counter(mutant.file.startswith("claimd/engine/") for mutant in mutants if "simulated" in mutant.name)
    assert number(_found(r"breaks the engine in (\d+) ways", "docs/testing.md")) == broken[True]
    assert number(_found(r"and the model in (\d+)", "docs/testing.md")) == broken[False]


def test_the_number_of_seeds() -> None:
    """docs/testing.md: the seeds of the simulation that the suite runs."""
    assert number(_found(r"(\d+) seeds of faults, edits and crowds", "docs/testing.md")) == SEEDS


def test_every_folder_of_tests_is_described() -> None:
    """docs/testing.md names each folder that has tests."""
    folders = {str(file.parent.relative_to(CHECKOUT)) for file in files("tests") if file.name.startswith("test_")}
    described = [name for row in rows(page("docs/testing.md")) for name in names(row[1])]
    missing = {folder for folder in folders if not any(name.startswith(f"{folder}/") for name in described)}
    assert missing == set()


def test_every_fault_is_in_the_table() -> None:
    """docs/faults.md has a row for each fault of the catalogue, in its order."""
    listed = [names(row[0])[0] for row in rows(section("docs/faults.md", "What was tried"))]
    assert listed == [fault.name for fault in FAULTS]


def test_every_setting_is_documented_and_no_other() -> None:
    """docs/production.md: the table of settings, each with its default where that is a number."""
    table = rows(section("docs/production.md", "Settings"))
    documented = [variable for row in table for variable in names(row[0])]
    assert sorted(documented) == sorted(f"CLAIMD_{name.upper()}" for name in Settings.model_fields)
    for row in table:
        for variable, shown in zip(names(row[0]), row[1].split(", "), strict=False):
            default = Settings.model_fields[variable.removeprefix("CLAIMD_").lower()].default
            if isinstance(default, int | float):
                assert number(shown.strip("`")) == default, variable


def test_every_reason_of_a_401_is_documented_and_no_other() -> None:
    """docs/production.md: the table of reasons, except `outdated`, which is the code `pass_outdated`."""
    text = section("docs/production.md", "The identity provider").partition("| reason |")[2]
    documented = {name for row in rows(text) for name in names(row[0])}
    assert documented == {str(reason) for reason in Unauthenticated} - {"outdated"}


def _families() -> set[str]:
    source = page("claimd/metrics/exposition.py")
    return {name.removesuffix("_total") for name in re.findall(r'"(claimd_\w+)"', source)}


def test_every_metric_is_documented_and_no_other() -> None:
    """docs/production.md: the table of metrics has each family that the console shows."""
    text = section("docs/production.md", "Health and metrics")
    documented = re.findall(r"claimd_\w+", " ".join(row[0] + row[1] for row in rows(text)))
    assert {name.removesuffix("_total") for name in documented} == _families()


def test_every_key_is_documented_and_no_other() -> None:
    """docs/architecture.md: the table of keys has each key that claimd/store/redis/keys.py spells."""
    documented = {names(row[0])[0] for row in rows(section("docs/architecture.md", "On the server"))}
    spelled = {value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str)}
    spelled -= {keys._PREFIX}
    of_round = keys.of_round("<id>")
    spelled |= {key.replace("{<id>.0}", "{c.p}") for key in (*of_round, keys.counts_key("<run>"))}
    assert documented == spelled


def test_the_layers_are_those_of_the_contract() -> None:
    """docs/architecture.md writes down the layers, from top to bottom, and how many exceptions there are."""
    text = " ".join(section("docs/architecture.md", "Layers").split())
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    chain = max(re.findall(r"`[^`]*`(?: → `[^`]*`)+", text), key=len)
    drawn = [sorted(re.findall(r"\w+", layer)) for layer in names(chain)]
    assert drawn == [sorted(re.findall(r"claimd\.(\w+)", layer)) for layer in layers]
    exceptions = [line for contract in contracts for line in contract.get("ignore_imports", [])]
    assert number(_found(r"(\w+) exceptions", "docs/architecture.md").lower()) == len(exceptions)


@pytest.mark.parametrize(
    ("name", "pattern", "value"),
    [
        ("docs/architecture.md", r"up to (\d+) identities", MAX_BATCH),
        ("docs/architecture.md", r"whole batch of (\d+) waits", MAX_BATCH),
        ("docs/architecture.md", r"takes (\d+) claims \(`gateway/lane/budget.py`\)", WORK_PER_ITERATION),
        ("docs/architecture.md", r"(\d+) files are its own", RESERVED_FILES),
        ("docs/architecture.md", r"(\d+) s after its first byte", REQUEST_SECONDS),
        ("docs/architecture.md", r"nothing of its answers \| after (\d+) s", ANSWER_SECONDS),
        ("docs/architecture.md", r"after (\d+) s \(`CLAIMD_IDLE_SECONDS`\)", IDLE_SECONDS),
        ("docs/architecture.md", r"deadline of its claims \((\d+) s", BatchLimits().deadline_seconds),
        ("docs/architecture.md", r"after (\w+) it is killed", HUNG_SECONDS),
        ("docs/production.md", r"silent for (\d+) s is killed", HUNG_SECONDS),
        ("docs/production.md", r"less (\d+) files that it keeps for itself", RESERVED_FILES),
        ("docs/faults.md", r"(\d+) claims (?:in a turn|an iteration)", WORK_PER_ITERATION),
    ],
)
def test_a_bound_has_the_value_of_its_constant(name: str, pattern: str, value: float) -> None:
    """A page that explains a bound gives the number that the code has."""
    assert number(_found(pattern, name)) == value


def test_the_drop_has_the_size_that_the_pages_name() -> None:
    """README and `make help` give the packs and seconds that a drop takes by default, and the rate they make."""
    makefile = page("Makefile")
    packs, seconds = sizes_of_drops.POOLS[Visits.NONE], sizes_of_drops.SECONDS[Visits.NONE]
    sizes = r"([\d,]+) packs in (\d+) s"
    for text in (page("README.md"), makefile):
        found = [(number(size), float(time)) for size, time in re.findall(sizes, text)]
        assert found
        assert set(found) == {(packs, seconds)}
    rates = re.findall(r"([\d,]+) grants a second", page("README.md"))
    assert all(number(rate) == round(packs / seconds) for rate in rates)


def test_the_evening_has_the_size_that_the_pages_name() -> None:
    """Its people, packs, seconds, and the length of its gathering."""
    packs, seconds = sizes_of_drops.POOLS[Visits.WHOLE], sizes_of_drops.SECONDS[Visits.WHOLE]
    people = f"{people_for(packs):,} people"
    harness = page("docs/load-testing.md")
    assert all(people in text for text in (page("README.md"), page("Makefile"), harness))
    assert f"{people}, {packs:,} packs" in harness
    assert f"that is {sizes_of_drops.gathering_seconds_for(packs):g} s. The packs go in {seconds:g} s" in harness


def test_every_library_has_its_reason() -> None:
    """docs/dependencies.md names each library of pyproject.toml, and no other."""
    optional = PROJECT["project"]["optional-dependencies"].values()
    lines = [*PROJECT["project"]["dependencies"], *(line for group in optional for line in group)]
    required = {re.split(r"[\[<>=]", line)[0] for line in lines}
    libraries, _, _ = page("docs/dependencies.md").partition("## Peers of the bench")
    documented = {name for row in rows(libraries) for name in row[0].split(", ")}
    assert documented == required
