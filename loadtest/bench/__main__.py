"""`make bench`: measures all contenders, interleaved, audits every round, and writes `loadtest/out/bench.json`."""

import json
import shlex
import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal

from loadtest import commandline
from loadtest.bench import contenders, figures, full_batches, picture, table, visiting
from loadtest.bench.measuring import ClaimTurn, Measured, Workload
from loadtest.bench.peer_programs import AIOHTTP_VISIT, CLAIM_PEERS, Peer
from loadtest.bench.rounds import AuditError
from loadtest.bench.visiting import Step, StepMeasured, VisitTurn
from loadtest.client.connection import LoadError
from loadtest.client.heads import EqualHeads, VariedHeads, Variety
from loadtest.commandline import OUT
from loadtest.target import children, machine

_SEED = 1

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class Part(StrEnum):
    """A part of the bench that can be run alone."""

    CLAIM = "claim"
    VISIT = "visit"


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Measurements of each contender and workload.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="The length of each measurement.")] = 2.0,
    connections: Annotated[int, typer.Option(min=1, max=10_000, help="Keep-alive connections.")] = 100,
    only: Annotated[Part | None, typer.Option(help="One part alone.", show_default="both")] = None,
    peers: Annotated[
        str,
        typer.Option(help="What claimd is compared with, comma-separated, or `none`.", show_default="all"),
    ] = ",".join(peer.key for peer in CLAIM_PEERS),
    heads: Annotated[
        Variety, typer.Option(help="The heads of requests; with varied ones claimd also claims with equal ones.")
    ] = Variety.VARIED,
    people: Annotated[int, typer.Option(min=400, max=1_000_000, help="Visitors, at most, of each contender.")] = 40_000,
    out: Annotated[Path, typer.Option(help="The file for the figures.", show_default="loadtest/out/bench.json")] = OUT
    / "bench.json",
) -> None:
    """Measure the CPU time and the latency of a claim and of a visit: claimd, and common ways of writing it.

    Everything runs on this machine, one contender at a time, interleaved. The figures are medians over ROUNDS, with
    their spread. **Claims** have three workloads: all win, all replays, all sold out. A **visit** is five requests:
    read the round, get a pass for a bearer token, read the round again, claim, look the claim up. Peers that this
    machine cannot build are left out, with the reason. Beside the figures it writes a picture (`.svg`) and tables for
    the docs (`.md`).

    Exit code: **0** measured, **1** an audit failed or a contender could not be run.
    """
    terminal = commandline.begin()
    try:
        commandline.allow_connections(connections)
        out.parent.mkdir(parents=True, exist_ok=True)
        chosen = _chosen(peers)
        field = contenders.Field(
            claims=only is not Part.VISIT,
            claim_peers=chosen,
            visits=only is not Part.CLAIM,
            visit_peers=[AIOHTTP_VISIT] if AIOHTTP_VISIT.key in {peer.key for peer in chosen} else [],
            heads=EqualHeads() if heads is Variety.EQUAL else VariedHeads(_SEED),
        )
        report = _run(field, rounds, seconds, connections, people, terminal)
    except (children.TargetError, AuditError, LoadError, commandline.SizeError) as error:
        terminal.print("[bold red]error[/]", error, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        terminal.print("interrupted: everything is stopped, nothing is written")
        raise typer.Exit(commandline.INTERRUPTED) from None
    report["heads"] = heads
    out.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    out.with_suffix(".md").write_text(table.markdown(report))
    if report["contenders"]:
        picture.draw(report["contenders"], out.with_suffix(".svg"))
    _print_tables(report, terminal)
    terminal.print(f"\n  figures: {out}", soft_wrap=True)


def _chosen(names: str) -> list[Peer]:
    """The peers with these keys, in the order of `CLAIM_PEERS`."""
    wanted = {name.strip() for name in names.split(",")} - {"", "none"}
    known = {peer.key for peer in CLAIM_PEERS}
    if unknown := sorted(wanted - known):
        raise typer.BadParameter(
            f"there is no {', '.join(unknown)}; there are {', '.join(known)}", param_hint="--peers"
        )
    return [peer for peer in CLAIM_PEERS if peer.key in wanted]


def _run(
    field: contenders.Field, rounds: int, seconds: float, connections: int, people: int, terminal: Terminal
) -> dict[str, Any]:
    claims: dict[tuple[str, Workload], list[Measured]] = defaultdict(list)
    visits: dict[tuple[str, Step], list[StepMeasured]] = defaultdict(list)
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="claimd-bench-") as home, contenders.started(Path(home), field) as running:
        for name, reason in running.left_out.items():
            terminal.print(f"left out: {name}: {reason}", soft_wrap=True)
        for turn in range(rounds):
            if running.claiming:
                _claim_turn(running, turn, seconds, connections, claims, terminal)
            if running.visiting:
                _visit_turn(running, turn, seconds, connections, people, visits, terminal)
        left_out = running.left_out
    summary, visit = figures.summary(claims), figures.visit_summary(visits)
    return {
        "contenders": summary,
        "ratios": figures.ratios(summary) if summary else {},
        "visit": {"contenders": visit, "ratios": figures.visit_ratios(visit)} if visit else {},
        "left_out": left_out,
        "rounds": rounds,
        "seconds": seconds,
        "connections": connections,
        "command": shlex.join(["python", "-m", "loadtest.bench", *sys.argv[1:]]),
        "commit": machine.commit(),
        "machine": machine.facts(),
        "started_at": started.isoformat(timespec="seconds"),
    }


def _claim_turn(
    running: contenders.Contenders,
    turn: int,
    seconds: float,
    connections: int,
    measurements: dict[tuple[str, Workload], list[Measured]],
    terminal: Terminal,
) -> None:
    """Measure every contender once for each workload; each turn begins with another contender."""
    turns = [
        ClaimTurn(running, contender, turn, seconds, connections) for contender in _shifted(running.claiming, turn)
    ]
    for workload in Workload:
        for each in turns:
            if workload in each.workloads:
                measured = each.measure(workload)
                measurements[each.name, workload].append(measured)
                _print_claims(terminal, turn, workload, each.name, measured)
        if workload is Workload.WIN:
            measured = full_batches.measure(running, running.claiming[0].rounds, turn, seconds)
            measurements[full_batches.NAME, workload].append(measured)
            _print_claims(terminal, turn, workload, full_batches.NAME, measured)
    for each in turns:
        each.audit()


def _visit_turn(
    running: contenders.Contenders,
    turn: int,
    seconds: float,
    connections: int,
    people: int,
    measurements: dict[tuple[str, Step], list[StepMeasured]],
    terminal: Terminal,
) -> None:
    """Measure the visit of every contender once; each turn begins with another contender."""
    tokens = visiting.tokens(running, turn, people)
    for contender in _shifted(running.visiting, turn):
        visit = VisitTurn(running, contender, tokens, turn, seconds, connections)
        for step, measured in visit.measure():
            measurements[contender.name, step].append(measured)
            _print_step(terminal, turn, step, contender.name, measured)
        visit.audit()


def _shifted(all_of_them: list[contenders.Contender], turn: int) -> list[contenders.Contender]:
    shift = turn % len(all_of_them)
    return all_of_them[shift:] + all_of_them[:shift]


def _print_claims(terminal: Terminal, turn: int, workload: Workload, name: str, measured: Measured) -> None:
    terminal.print(
        f"round {turn + 1}   {workload:<11} {name:<36} {measured.gateway_us_per_claim:6.1f} + "
        f"{measured.server_us_per_claim:5.1f} µs   {measured.rps:>8,.0f}/s   p99 {measured.p99_ms:6.2f} ms"
    )


def _print_step(terminal: Terminal, turn: int, step: Step, name: str, measured: StepMeasured) -> None:
    terminal.print(
        f"round {turn + 1}   {step:<11} {name:<36} {measured.gateway_us:6.1f} + {measured.server_us:5.1f} µs   "
        f"{measured.rps:>8,.0f}/s   p99 {measured.p99_ms:6.2f} ms"
    )


def _print_tables(report: dict[str, Any], terminal: Terminal) -> None:
    for each in table.terminal(report):
        terminal.print()
        terminal.print(each)
    terminal.print()
    for sentence in table.sentences(report):
        terminal.print(f"  {sentence}", soft_wrap=True)
    terminal.print("  every round passed its audit")


if __name__ == "__main__":
    app()
