"""`python -m tests.schemathesis --examples 2000 [--side console] [--seed 7]`: many requests, and what they found."""

import argparse
import asyncio
import random
import sys

import uvloop

from tests.schemathesis.running import SIDES, Report, run
from tests.servers import Server


def _print(report: Report) -> None:
    print(report.output)
    print(f"{report.side}: {report.cases:,} requests")
    for operation, counts in report.of_operations().items():
        print(f"  {operation:<45} " + "  ".join(f"{name} {number:,}" for name, number in counts.items()))


async def _run(sides: list[str], examples: int, seed: int) -> bool:
    server = Server.started("valkey")
    clean = True
    try:
        for name in sides:
            with server.client() as client:
                client.flushall()
            report = await run(name, server.url, examples=examples, seed=seed)
            _print(report)
            clean = clean and report.code == 0
    finally:
        server.end()
    return clean


def main() -> None:
    """Run the sides one after the other; exit 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.schemathesis", description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="at most so many for each operation and phase")
    parser.add_argument("--side", action="append", choices=SIDES, help="which; all of them without it")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run, to repeat it; at random without it")
    chosen = parser.parse_args()
    seed = random.randrange(10**6) if chosen.seed is None else chosen.seed
    print(f"seed {seed}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(not runner.run(_run(chosen.side or list(SIDES), chosen.examples, seed)))


if __name__ == "__main__":
    main()
