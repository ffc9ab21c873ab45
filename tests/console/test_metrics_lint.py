"""`/metrics` keeps to Prometheus' conventions: by promtool where it is installed, by a check of our own everywhere."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.http import serving
from tests.http.serving import Served, open_round, with_pass

# Kept for one version, for the dashboards of version 0.1.
DEPRECATED = "claimd_stock_total"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
BASE_UNITS = ("_milliseconds", "_ms", "_minutes", "_kilobytes", "_percent")


async def outputs(console: Served, gateway: Served) -> list[str]:
    """Real ones: empty, with everything in it, and without a server."""
    found = [await (await console.http.get("/metrics")).text()]
    await open_round(gateway.store, total=1)
    for sub in ("ada", "bob", "ada"):
        await gateway.http.post("/v1/rounds/night/claims", headers=with_pass(sub))
    await gateway.http.post("/v1/rounds/night/claims", headers={"Authorization": "Pass no"})
    assert gateway.reporter is not None
    gateway.reporter._counts.unauthenticated["expired"] += 1
    gateway.reporter._counts.claims["", "granted"] += 1
    await gateway.reporter.report()
    found.append(await (await console.http.get("/metrics")).text())
    async with serving.console("unix:///nowhere") as away:
        found.append(await (await away.http.get("/metrics")).text())
    return found


def complaints(text: str) -> Iterator[str]:
    """The faults that the rules of promtool find in a text, for the rules that matter here."""
    for family in text_string_to_metric_families(text):
        declared = f"{family.name}_total" if family.type == "counter" else family.name
        if f"# HELP {declared} " not in text or not family.documentation:
            yield f"{family.name} has no help"
        if not re.fullmatch(r"claimd(_[a-z]+)+", family.name):
            yield f"{family.name} is no name of ours"
        if family.name.endswith(BASE_UNITS):
            yield f"{family.name} is not in a base unit"
        if family.type != "counter" and family.name.endswith("_total"):
            yield f"{family.name} has a counter's name"
        if family.type not in SUFFIXES:
            yield f"{family.name} is of no known type"
        for sample in family.samples:
            if not any(sample.name == family.name + suffix for suffix in SUFFIXES.get(family.type, ())):
                yield f"{sample.name} is no sample of a {family.type}"


def test_the_lint_of_these_tests_can_fail() -> None:
    """Each rule, broken once."""
    bad = (
        "# TYPE claimd_a gauge\nclaimd_a 1\n"
        "# HELP other_b B.\n# TYPE other_b gauge\nother_b 1\n"
        "# HELP claimd_c_ms C.\n# TYPE claimd_c_ms gauge\nclaimd_c_ms 1\n"
        "# HELP claimd_d_total D.\n# TYPE claimd_d_total gauge\nclaimd_d_total 1\n"
        "# HELP claimd_e E.\nclaimd_e 1\n"
    )
    assert {complaint.split()[0] for complaint in complaints(bad)} == {
        "claimd_a",
        "other_b",
        "claimd_c_ms",
        "claimd_d_total",
        "claimd_e",
    }


async def test_the_conventions_are_kept(console: Served, gateway: Served) -> None:
    """All but one name, which is deprecated."""
    found = [list(complaints(text)) for text in await outputs(console, gateway)]
    expected = [f"{DEPRECATED} has a counter's name"]
    assert found == [expected, expected, []]


def told_by(promtool: str, text: str) -> list[str]:
    """Its lines about a text."""
    told = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return (told.stderr + told.stdout).splitlines()


async def test_promtool_finds_no_fault(console: Served, gateway: Served) -> None:
    """The deprecated name, and nothing but it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    empty, full, away = [told_by(promtool, text) for text in await outputs(console, gateway)]
    # It knows a family only by its samples.
    assert [line.split()[0] for line in full] == [DEPRECATED]
    assert empty == away == []
