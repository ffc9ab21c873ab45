"""Runs schemathesis against a side of claimd, in a process of its own, and reads its report."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from tests.http import serving
from tests.http.serving import ADMIN_TOKEN, KEYS, Served, with_pass
from tests.identity.identity_provider import token, write_jwks
from tests.schemathesis.rounds import make_rounds
from tests.tidy.words import CHECKOUT

SIDES = ("lane", "aiohttp", "console")
_DOCUMENT = {"lane": "/v1/openapi.json", "aiohttp": "/v1/openapi.json", "console": "/admin/v1/openapi.json"}
# A round that is archived, or has another version than the one that was asked for, rejects a good request, too.
_ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "410", "412"]
# schemathesis waits for the end of an answer, and a stream of events has none.
_ENDLESS = "/v1/rounds/{id}/events"
_FAR_FUTURE_SECONDS = 4_000_000_000


@dataclass(frozen=True, slots=True)
class Report:
    """What a run was: its report, its output, and its exit code."""

    side: str
    content: dict[str, Any]
    output: str
    code: int

    @property
    def cases(self) -> int:
        """How many requests were made."""
        return int(self.content["test_cases"]["generated"])

    def of_operations(self) -> dict[str, dict[str, int]]:
        """For each operation, how many good requests were accepted, and how many met a state that rejects them."""
        return {
            operation: {
                outcome: sum(phase[outcome] for phase in phases.values())
                for outcome in ("accepted", "unreachable", "conflicts", "rejected")
            }
            for operation, phases in sorted(self.content["valid_rates"].items())
        }


@asynccontextmanager
async def side(name: str, url: str, folder: Path) -> AsyncIterator[Served]:
    """The side of this name over the server at `url`, with its rounds."""
    jwks = write_jwks(folder / "jwks.json", "oct")
    async with serving.console(url, keys=KEYS) as console:
        await make_rounds(console, example=name != "console")
        if name == "console":
            yield console
            return
        async with serving.gateway(url, jwks=jwks, door=Lane if name == "lane" else AiohttpDoor) as gateway:
            yield gateway


async def run(name: str, url: str, *, examples: int, seed: int) -> Report:
    """One run over every operation, with all of schemathesis' phases and checks."""
    with tempfile.TemporaryDirectory(prefix="claimd-test-") as place:
        folder = Path(place)
        async with side(name, url, folder) as served:
            async with served.http.get(_DOCUMENT[name]) as answer:
                document = json.loads(await answer.read())
            document["paths"].pop(_ENDLESS, None)
            (folder / "openapi.json").write_text(json.dumps(document))
            (folder / "schemathesis.toml").write_text(_settings(name, seed))
            words = _words(folder, f"http://127.0.0.1:{served.port}", examples)
            # It leaves a cache where it runs.
            environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "SCHEMATHESIS_HOOKS": "tests.schemathesis.hooks"}
            process = await asyncio.create_subprocess_exec(
                *words, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            output = (await process.communicate())[0].decode()
        return Report(name, _content(folder, output), output, process.returncode or 0)


def _content(folder: Path, output: str) -> dict[str, Any]:
    reports = list(folder.glob("report/*.json"))
    assert len(reports) == 1, output
    content: dict[str, Any] = json.loads(reports[0].read_text())
    return content


def _words(folder: Path, base_url: str, examples: int) -> list[str]:
    program = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml")]
    chosen = ["--url", base_url, "--max-examples", str(examples), "--continue-on-failure"]
    reports = ["--report", "json", "--report-dir", str(folder / "report"), "--no-color"]
    return [*program, "run", *chosen, *reports, str(folder / "openapi.json")]


def _settings(name: str, seed: int) -> str:
    credentials = {"adminToken": f'bearer = "{ADMIN_TOKEN}"'}
    if name != "console":
        credentials = {
            "token": f'bearer = "{token("ada", exp=_FAR_FUTURE_SECONDS)}"',
            "pass": f'api_key = "{with_pass("ada")["Authorization"]}"',
        }
    schemes = [f"[auth.openapi.{scheme}]\n{value}" for scheme, value in credentials.items()]
    accepted = f"[checks.positive_data_acceptance]\nexpected-statuses = {json.dumps(_ACCEPTED)}"
    generation = '[generation]\ndatabase = "none"'
    return "\n".join((f"seed = {seed}", generation, *schemes, accepted))
