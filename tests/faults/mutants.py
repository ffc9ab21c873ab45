"""Changes that `tests/faults/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

_FAULTS = "tests/faults/test_faults.py::test_promises_are_kept"

MUTANTS = (
    Mutant(
        "nothing on disk",
        "claimd/embedded/valkey.py",
        "appendonly yes",
        "appendonly no",
        f"{_FAULTS}[kill-server]",
    ),
    Mutant(
        "whoever is given up is told: sold out",
        "claimd/engine/batcher.py",
        "self._decided(late, [_UNAVAILABLE] * len(late))",
        "self._decided(late, [Decision(Outcome.SOLD_OUT)] * len(late))",
        f"{_FAULTS}[stop-server]",
    ),
    Mutant(
        "granted again when asked again",
        "lua/claim.lua",
        "local holds = held[i] or fresh[identity]",
        "local holds = false",
        f"{_FAULTS}[lose-replies]",
    ),
    Mutant(
        "another call's reply believed",
        "claimd/store/redis/script_calls.py",
        "or reply[0] != call_id:",
        "or not call_id:",
        f"{_FAULTS}[double-replies]",
    ),
    Mutant(
        "a pause that is not kept",
        "lua/claim.lua",
        "elseif round.paused == '1' then",
        "elseif false then",
        f"{_FAULTS}[orders]",
    ),
    Mutant(
        "an hour back closes a round",
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
        "a replica that is not waited for",
        "claimd/store/redis/acknowledgement.py",
        "return ReplicaAck(clock) if durability is Durability.REPLICA else LocalAck()",
        "return LocalAck()",
        f"{_FAULTS}[fail-over]",
    ),
    Mutant(
        "half a claim when memory runs out",
        "lua/claim.lua",
        "#!lua\n",
        "#!lua flags=allow-oom\n",
        f"{_FAULTS}[out-of-memory]",
    ),
    Mutant(
        "a supervisor that stood still takes all for hung",
        "claimd/supervisor/watch.py",
        "self._silent_seconds += min(seconds, 2 * _TICK_SECONDS)",
        "self._silent_seconds += seconds",
        f"{_FAULTS}[stop-supervisor]",
    ),
    Mutant(
        "a child that hangs is left alone",
        "claimd/supervisor/supervisor.py",
        'killing it")\n        child.signal(signal.SIGKILL)',
        'killing it")',
        f"{_FAULTS}[hang-server]",
    ),
)
