"""Changes that `tests/faults/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

_FAULTS = "tests/faults/test_faults.py::test_no_promise_is_broken"

MUTANTS = (
    Mutant(
        "no append-only file",
        "claimd/embedded/valkey.py",
        "appendonly yes",
        "appendonly no",
        f"{_FAULTS}[kill-server]",
    ),
    Mutant(
        "an abandoned claim is answered sold_out",
        "claimd/engine/batcher.py",
        "self._report(late, [_UNAVAILABLE] * len(late))",
        "self._report(late, [Decision(Outcome.SOLD_OUT)] * len(late))",
        f"{_FAULTS}[stop-server]",
    ),
    Mutant(
        "a second claim granted on a retry",
        "lua/claim.lua",
        "local holds = held[i] or fresh[identity]",
        "local holds = false",
        f"{_FAULTS}[lose-replies]",
    ),
    Mutant(
        "the reply of another call is accepted",
        "claimd/store/redis/script_calls.py",
        "or reply[0] != call_id:",
        "or not call_id:",
        f"{_FAULTS}[double-replies]",
    ),
    Mutant(
        "a pause that is ignored",
        "lua/claim.lua",
        "elseif round.paused == '1' then",
        "elseif false then",
        f"{_FAULTS}[operators]",
    ),
    Mutant(
        "a clock set back an hour closes a round",
        "lua/includes/window.lua",
        "return round_time_ms(now_ms, last_grant_ms)",
        "return now_ms",
        f"{_FAULTS}[set-clock]",
    ),
    Mutant(
        "a supervisor that leaves orphans",
        "claimd/supervisor/die_with_parent.py",
        "prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0",
        "prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0) != 0",
        f"{_FAULTS}[kill-supervisor]",
    ),
    Mutant(
        "a claim acknowledged without its replica",
        "claimd/store/redis/acknowledgement.py",
        "return ReplicaAck(clock) if durability is Durability.REPLICA else LocalAck()",
        "return LocalAck()",
        f"{_FAULTS}[fail-over]",
    ),
    Mutant(
        "a claim written in part when memory runs out",
        "lua/claim.lua",
        "#!lua\n",
        "#!lua flags=allow-oom\n",
        f"{_FAULTS}[out-of-memory]",
    ),
    Mutant(
        "a supervisor that was suspended takes all children for hung",
        "claimd/supervisor/watch.py",
        "self._silent_seconds += min(seconds, 2 * _TICK_SECONDS)",
        "self._silent_seconds += seconds",
        f"{_FAULTS}[stop-supervisor]",
    ),
    Mutant(
        "a hung child is not replaced",
        "claimd/supervisor/supervisor.py",
        'killing it")\n        child.signal(signal.SIGKILL)',
        'killing it")',
        f"{_FAULTS}[hang-server]",
    ),
)
