"""`python -m tests.simulation`: many seeds on all processors, or one with its trace. Exit 1 if one fails."""

import argparse
import multiprocessing
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.simulation.run import Run, simulate

_SEEDS_AT_ONCE = 25
_PROGRESS_SECONDS = 5.0
_LAST_EVENTS = 60


def tried(seeds: range) -> tuple[int, int | None, Counter[str], Counter[str]]:
    """Run seeds until one fails.

    Returns the number of runs, the seed that failed or None, how often each thing was met, and in how many runs.
    """
    times: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for number, seed in enumerate(seeds, 1):
        run = simulate(seed)
        times.update(run.met)
        runs.update(run.met.keys())
        if run.violation:
            return number, seed, times, runs
    return len(seeds), None, times, runs


def story(run: Run, last: int = _LAST_EVENTS) -> str:
    """A run as text: scenario, last events, events of the accused claim, violation, and the command to repeat it."""
    accused = re.search(r"#(\d+)", run.violation or "")
    about = f"of #{accused[1]} alone:\n{run.history.trace_of(int(accused[1]))}\n" if accused else ""
    verdict = f"VIOLATION {run.violation}" if run.violation else "no violation"
    return (
        f"{run.scenario}\n{run.history.trace(last)}\n{about}"
        f"seed {run.seed}: {verdict}\ndigest {run.history.digest()}\n"
        f"again: python -m tests.simulation --seed {run.seed}"
    )


def summary(count: int, times: Counter[str], runs: Counter[str]) -> Iterator[str]:
    """A table of how often each fault, outcome and combination was met: what is missing in it was not tested."""
    yield f"{'met':54} {'times':>10} {'of runs':>8}"
    for name in sorted(times):
        yield f"{name:54} {times[name]:>10,} {runs[name] / count:>8.1%}"


def try_many(seeds: range, processes: int) -> int | None:
    """Run all seeds, or until one fails, and print progress and a summary. Returns the seed that failed, or None."""
    times: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    done, begun, printed = 0, time.monotonic(), 0.0
    failed: int | None = None
    chunks = [seeds[start : start + _SEEDS_AT_ONCE] for start in range(0, len(seeds), _SEEDS_AT_ONCE)]
    with multiprocessing.Pool(processes) as pool:
        for number, failing, of_times, of_runs in pool.imap(tried, chunks):
            done += number
            times.update(of_times)
            runs.update(of_runs)
            seconds = time.monotonic() - begun
            if failing is not None or seconds - printed > _PROGRESS_SECONDS:
                printed = seconds
                print(f"{done:,} of {len(seeds):,} seeds, {done / seconds:.0f} a second", file=sys.stderr, flush=True)
            if failing is not None:
                failed = failing
                break
    print("\n".join(summary(done, times, runs)))
    seconds = time.monotonic() - begun
    verdict = "without a violation" if failed is None else f"and seed {failed} FAILED"
    print(f"{done:,} seeds from {seeds.start} {verdict}, {seconds:.0f} s, {done / seconds:.0f} seeds a second")
    return failed


def main() -> None:
    """Read the arguments, run the seeds, and exit with 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them (default 0)")
    parser.add_argument("--seed", type=int, help="this one alone, with its trace")
    parser.add_argument("--events", type=int, default=_LAST_EVENTS, help="how many of its last events (default 60)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one for each processor")
    chosen = parser.parse_args()
    failed: int | None = chosen.seed
    if failed is None:
        failed = try_many(range(chosen.first, chosen.first + chosen.seeds), chosen.processes)
    if failed is None:
        return
    run = simulate(failed)
    print(story(run, chosen.events))
    sys.exit(run.violation is not None)


if __name__ == "__main__":
    main()
