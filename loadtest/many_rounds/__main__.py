"""`python -m loadtest.many_rounds`: what many rounds cost, claimed at once or only kept, measured side by side.

`claims` has one gateway decide claims of one round and then of many at once, in a closed loop. `listing` has clients
claim at an even pace while another one lists the rounds without a pause. It stops everything that it starts.
"""

import http.client
import itertools
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import psutil
import typer

from claimd.domain.times import HOUR_MS
from loadtest import commandline
from loadtest.client import credentials
from loadtest.client.closed_loop import ClosedLoop
from loadtest.client.connection import LoadError
from loadtest.client.heads import VariedHeads
from loadtest.client.open_loop import OpenLoop
from loadtest.client.requests import Requests
from loadtest.target import claimd_up, console_client
from loadtest.target.claimd_up import Claimd

_DAY_MS: Final = 24 * HOUR_MS
_SEED: Final = 1
_OPERATORS: Final = 8
_POLL_SECONDS: Final = 1.0

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def claims(
    rounds: Annotated[int, typer.Option(min=1, max=5_000, help="How many are claimed at once.")] = 200,
    connections: Annotated[int, typer.Option(min=1, max=500, help="Keep-alive connections.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.5, max=60, help="How long each side takes.")] = 3.0,
    most: Annotated[int, typer.Option(min=1000, max=2_000_000, help="People that claim, at most, a side.")] = 150_000,
) -> None:
    """Claims a second of one round, and of ROUNDS at once, of one gateway over the embedded Valkey."""
    with _claimd() as claimd:
        for count in (1, rounds):
            names = [f"many-{count}-{number}" for number in range(count)]
            _create(claimd, names, over=False)
            requests = _requests(claimd, names, most)
            with closing(ClosedLoop(claimd.port, connections)) as loop:
                print(f"{count:>5} rounds: {_while_claimed(claimd, loop, requests, seconds)}", flush=True)


@app.command()
def listing(
    over: Annotated[int, typer.Option(min=0, max=100_000, help="Rounds that are over.")] = 10_000,
    live: Annotated[int, typer.Option(min=1, max=5_000, help="Rounds that are not.")] = 20,
    rate: Annotated[float, typer.Option(min=10, max=20_000, help="Claims a second meanwhile.")] = 1_000.0,
    seconds: Annotated[float, typer.Option(min=0.5, max=60, help="How long each side takes.")] = 3.0,
    path: Annotated[str, typer.Option(help="What is polled.")] = "/v1/rounds",
) -> None:
    """Latency of claims alone, and while one client lists the rounds without a pause."""
    with _claimd() as claimd:
        _create(claimd, [f"over-{number}" for number in range(over)], over=True)
        names = [f"live-{number}" for number in range(live)]
        _create(claimd, names, over=False)
        count = int(rate * seconds)
        requests = _requests(claimd, names[:1], 3 * count)
        gateway = psutil.Process(claimd.pid("gateway-0"))
        with closing(OpenLoop(claimd.port, 20)) as load:
            load.run(requests[:count], rate)
            for side in ("alone", "listed"):
                load.latencies.clear()
                taken, requests = requests[count : 2 * count], requests[count:]
                before, began = _cpu_seconds(gateway), time.perf_counter()
                with _polling(claimd.port, path if side == "listed" else None) as polled:
                    load.run(taken, rate)
                used, took = _cpu_seconds(gateway) - before, time.perf_counter() - began
                p50, p99 = np.percentile(np.array(load.latencies) * 1000, (50, 99))
                print(f"{side}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, gateway {used / took:.0%}; {polled()}", flush=True)
        print(f"one list by itself: {_cost(claimd.port, path, gateway)}")


def _while_claimed(claimd: Claimd, loop: ClosedLoop, requests: list[bytes], seconds: float) -> str:
    processes = [psutil.Process(claimd.pid(name)) for name in ("gateway-0", "valkey")]
    before = [_cpu_seconds(process) for process in processes]
    began = time.perf_counter()
    loop.run(requests, seconds)
    took, answered = time.perf_counter() - began, len(loop)
    if wrong := set(loop.statuses) - {b"201"}:
        raise LoadError(f"claims were answered {sorted(wrong)}, which should all be 201")
    gateway, server = (
        (_cpu_seconds(process) - was) / answered * 1e6 for process, was in zip(processes, before, strict=True)
    )
    p50, p99 = np.percentile(np.array(loop.latencies) * 1000, (50, 99))
    return (
        f"{answered / took:,.0f} claims/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms; "
        f"{gateway:.1f} us of the gateway and {server:.1f} of the server a claim"
    )


@contextmanager
def _claimd() -> Iterator[Claimd]:
    commandline.begin()
    with (
        tempfile.TemporaryDirectory(prefix="claimd-rounds-") as home,
        claimd_up.running(Path(home), Path(home) / "claimd.log", workers=1) as claimd,
    ):
        yield claimd


def _create(claimd: Claimd, names: list[str], *, over: bool) -> None:
    now_ms = int(time.time() * 1000)
    window = (now_ms - 3 * _DAY_MS, now_ms - 2 * _DAY_MS) if over else (now_ms - HOUR_MS, now_ms + 12 * HOUR_MS)
    operators = console_client.ConsoleClient(claimd.console_url, claimd.admin_token)
    with ThreadPoolExecutor(_OPERATORS) as threads:
        for _ in threads.map(lambda name: operators.create_round(name, 2**31, *window), names):
            pass


def _requests(claimd: Claimd, names: list[str], count: int) -> list[bytes]:
    """Claims of new people, the rounds in turn."""
    each = -(-count // len(names))
    # Each person asks in one round, as one person may not ask so often.
    people = np.arange(each * len(names), dtype=np.int32).reshape(len(names), each)
    packed = {
        name: credentials.mint(claimd.keys, name, _SEED, part, people.size)
        for name, part in zip(names, people, strict=True)
    }
    heads = VariedHeads(_SEED)
    requests = [
        Requests(name, f"127.0.0.1:{claimd.port}", heads).claims(part.tolist(), packed[name])
        for name, part in zip(names, people, strict=True)
    ]
    return list(itertools.chain.from_iterable(zip(*requests, strict=True)))


@contextmanager
def _polling(port: int, path: str | None) -> Iterator[Callable[[], str]]:
    """Have another process request `path` without a pause. What is yielded returns its result, after the block."""
    result = ""
    if path is None:
        yield lambda: "nothing was listed"
        return
    command = [sys.executable, "-m", "loadtest.many_rounds", "poll", str(port), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as polling:
        assert polling.stdout is not None
        polling.stdout.readline()
        yield lambda: result
        result, _ = polling.communicate("stop\n")
        result = result.strip()


@app.command(hidden=True)
def poll(port: int, path: str) -> None:
    """Ask for PATH without a pause until a line comes on stdin."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    print("begun", flush=True)
    asked, size, began = 0, 0, time.perf_counter()
    while not select.select([sys.stdin], [], [], 0)[0]:
        connection.request("GET", path)
        size = len(connection.getresponse().read())
        asked += 1
    print(f"{asked / (time.perf_counter() - began):,.0f} lists a second of {size:,} bytes")


def _cost(port: int, path: str, gateway: psutil.Process) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asked, before, end = 0, _cpu_seconds(gateway), time.perf_counter() + _POLL_SECONDS
    while time.perf_counter() < end:
        connection.request("GET", path)
        connection.getresponse().read()
        asked += 1
    return f"{(_cpu_seconds(gateway) - before) / asked * 1000:.2f} ms of the gateway"


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    app()
