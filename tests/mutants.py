"""`python -m tests.mutants`: breaks claimd on purpose, one way at a time, and shows that the suite notices each.

Works on copies in a temporary folder; nothing here is changed. Exit 0 if every mutant was killed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` in `file` becomes `new`; `tests` are the ones that must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str = "tests/store/test_conformance.py"


MUTANTS = (
    Mutant("deduct without check", "lua/claim.lua", "elseif count < available then", "elseif available > -1e9 then"),
    Mutant("no identity check", "lua/claim.lua", "local holds = held[i] or fresh[identity]", "local holds = false"),
    Mutant("no check within a batch", "lua/claim.lua", "held[i] or fresh[identity]", "held[i]"),
    Mutant("window not checked", "lua/claim.lua", "elseif window_ms < opens_at_ms then", "elseif false then"),
    Mutant("pause not checked", "lua/claim.lua", "elseif state[5] == '1' then", "elseif false then"),
    Mutant("refusals before replays", "lua/claim.lua", "if holds then", "if holds and available > 0 then"),
    Mutant("a gap in the serials", "lua/claim.lua", "'issued', issued + count,", "'issued', issued + count + 1,"),
    Mutant("grants not logged", "lua/claim.lua", "if count > 0 then", "if count > 0 and count ~= 1 then"),
    Mutant("total below issued", "lua/round_edit.lua", "total < tonumber(state[2])", "false"),
    Mutant("edit written half", "lua/round_edit.lua", "'version', version, unpack(ARGV, 10)", "unpack(ARGV, 10, 11)"),
    Mutant("an outdated pass grants", "lua/claim.lua", "if epoch ~= (state[8] or '0') then", "if false then"),
    Mutant(
        "an edit for another version",
        "lua/round_edit.lua",
        "if if_version ~= '' and if_version",
        "if false and if_version",
    ),
    Mutant("passes of a deleted round fit the next", "lua/round_delete.lua", "(state[4] or 0) + 1", "0"),
    Mutant(
        "a clock that was ahead keeps a round open",
        "lua/claim.lua",
        " and last_grant_ms - now_ms <= max_step_back_ms",
        "",
        "tests/store/redis/test_store.py",
    ),
    Mutant(
        "an edit of the window without effect",
        "lua/round_edit.lua",
        "if changes.opens_at_ms or changes.closes_at_ms then",
        "if false then",
        "tests/store/redis/test_store.py",
    ),
    Mutant(
        "eligibility before the claim that is held",
        "claimd/gateway/claims.py",
        "        eligible = is_admitted(item, asking)\n",
        "        eligible = is_admitted(item, asking)\n"
        "        if not eligible:\n"
        '            raise refused(HTTPStatus.FORBIDDEN, "not_eligible")\n',
        "tests/gateway/test_answers.py",
    ),
    Mutant(
        "another secret accepted",
        "claimd/store/installation.py",
        "if theirs != self.fingerprint:",
        "if False:",
        "tests/up/test_installation.py",
    ),
    Mutant(
        "a new secret for old claims",
        "claimd/up/secret.py",
        "    if in_use:",
        "    if False:",
        "tests/up/test_installation.py",
    ),
    Mutant(
        "check after write",
        "lua/round_edit.lua",
        "local outcome = 'done'",
        "redis.call('HSET', KEYS[1], unpack(ARGV, 10))\nlocal outcome = 'done'",
        "tests/store/redis/test_store.py",
    ),
    Mutant(
        "retry of a step that is not idempotent",
        "claimd/store/redis/store.py",
        "        (now_ms, word, *pairs), others = await self._editing.call_and(",
        "        await self._editing.call(script, names, args)\n"
        "        (now_ms, word, *pairs), others = await self._editing.call_and(",
    ),
    Mutant(
        "no bound on connections",
        "claimd/http/admission.py",
        "for door in self._doors) < self._most:",
        "for door in self._doors) >= 0:",
        "tests/up/test_few_files.py",
    ),
    Mutant(
        "connections handed over not counted",
        "claimd/http/admission.py",
        "self._doors: Collection[Door] = {front, behind}",
        "self._doors: Collection[Door] = {front}",
        "tests/http/test_admission.py",
    ),
    Mutant(
        "a line for each rejected connection",
        "claimd/http/admission.py",
        "call_later(_REPORT_SECONDS, self._report)",
        "call_soon(self._report)",
        "tests/http/test_admission.py",
    ),
    Mutant(
        "half-closed clients not answered by the lane",
        "claimd/gateway/lane/connection.py",
        "        return self._waiting\n",
        "        return False\n",
        "tests/gateway/test_half_closed.py",
    ),
    Mutant(
        "half-closed clients kept by the lane",
        "claimd/gateway/lane/connection.py",
        "        if not self._unread:\n            self._closing = True\n",
        "",
        "tests/gateway/test_half_closed.py",
    ),
    Mutant(
        "half-closed clients not answered by aiohttp",
        "claimd/http/server.py",
        "if not self._messages and not self._being_answered:",
        "if True:",
        "tests/gateway/test_half_closed.py",
    ),
    Mutant(
        "half-closed clients kept by aiohttp",
        "claimd/http/server.py",
        "if self._ended and not self._messages:",
        "if False:",
        "tests/gateway/test_half_closed.py",
    ),
    Mutant(
        "a cut body waited for",
        "claimd/http/server.py",
        "if not body.is_eof():",
        "if False:",
        "tests/gateway/test_half_closed.py",
    ),
    Mutant(
        "idle connections not probed",
        "claimd/store/redis/connections.py",
        "if sound and idle_seconds >= trusted_seconds:",
        "if False:",
        "tests/store/redis/test_silent_network.py",
    ),
    Mutant(
        "silent connections kept",
        "claimd/store/redis/script_calls.py",
        "        await connection.disconnect(nowait=True)\n        await self._idle.abandon()",
        "        await connection.disconnect(nowait=True)",
        "tests/store/redis/test_silent_network.py",
    ),
    Mutant(
        "reload on every error",
        "claimd/store/redis/script_calls.py",
        "isinstance(replies[0], NoScriptError)",
        "isinstance(replies[0], ResponseError)",
        "tests/store/redis/test_script_calls.py",
    ),
    Mutant(
        "numbers cut on a terminal",
        "claimd/cli/terminal/show.py",
        "_terminal(_natural_width(table)).print(table)",
        "Console(highlight=False).print(table)",
        "tests/cli/test_streams.py::test_what_is_shown_is_whole_on_a_narrow_terminal",
    ),
    Mutant(
        "output lost without a word",
        "claimd/cli/terminal/streams.py",
        "raise OutputError(error) from None",
        "return",
        "tests/cli/test_streams.py::test_output_that_cannot_be_written_is_said_in_a_line",
    ),
    Mutant(
        "Ctrl-C does not end a question",
        "claimd/cli/console_command.py",
        "runner.get_loop().run_until_complete(talk())",
        "runner.run(talk())",
        "tests/cli/test_streams.py::test_ctrl_c_ends_a_question",
    ),
    Mutant(
        "an export replaces a device",
        "claimd/cli/commands/export.py",
        "return stat.S_ISREG(mode)",
        "return True",
        "tests/cli/test_streams.py::test_an_export_into_a_pipe_leaves_it_a_pipe",
    ),
    Mutant(
        "the last of two equal names counts",
        "claimd/domain/strict_json.py",
        "if name in members:",
        "if False:",
        "tests/cli/test_words.py",
    ),
    Mutant(
        "an offset is guessed",
        "claimd/domain/times.py",
        "if not _RFC3339.fullmatch(text):",
        'text = text if _RFC3339.fullmatch(text) else text + "Z"\n    if not _RFC3339.fullmatch(text):',
        "tests/cli/test_words.py",
    ),
    Mutant("round created twice", "lua/round_create.lua", "if state[1] then", "if false then"),
    Mutant(
        "deadline not checked",
        "claimd/engine/batcher.py",
        "while waiting and waiting[0][2] <= too_old:",
        "while waiting and waiting[0][2] < 0 * too_old:",
        "tests/engine",
    ),
    Mutant(
        "answers in the wrong order",
        "claimd/engine/batcher.py",
        "in zip(claims, decisions, strict=True)",
        "in zip(claims, decisions[::-1], strict=True)",
        "tests/engine",
    ),
    Mutant("bounded queue", "claimd/engine/batcher.py", "if ahead >= limits.max_waiting or (", "if (", "tests/engine"),
    Mutant(
        "anyone let in, whatever the wait",
        "claimd/engine/batcher.py",
        "self._expected_wait.seconds(ahead, now) > limits.max_wait_seconds",
        "False",
        "tests/engine",
    ),
    Mutant(
        "nobody let in to find out",
        "claimd/engine/batcher.py",
        "ahead and self._expected_wait.",
        "self._expected_wait.",
        "tests/engine",
    ),
    Mutant(
        "an average believed while a call hangs",
        "claimd/engine/expected_wait.py",
        "turn_seconds = now - self._waiting_since",
        "turn_seconds = 0.0",
        "tests/engine",
    ),
    Mutant(
        "a call that hangs stops the rest",
        "claimd/engine/batcher.py",
        " or bool(self._hanging)",
        "",
        "tests/engine",
    ),
    Mutant(
        "one call that hangs shuts the door",
        "claimd/engine/expected_wait.py",
        "max(self._begun.values()) if all_busy else inf",
        "min(self._begun.values(), default=inf)",
        "tests/engine",
    ),
    Mutant(
        "a demoted server asked for ever",
        "claimd/store/redis/script_calls.py",
        "if isinstance(replies[0], _DEMOTED):",
        "if False:",
        "tests/store/redis/test_script_calls.py",
    ),
    Mutant(
        "a lost batch given up at once",
        "claimd/engine/batcher.py",
        "while attempt.claims and not await self._ask(attempt):",
        "if attempt.claims and not await self._ask(attempt):",
        "tests/engine",
    ),
    Mutant(
        "asked again past the deadline",
        "claimd/engine/batcher.py",
        "if claim[2] <= too_old]",
        "if claim[2] <= 0 * too_old]",
        "tests/engine",
    ),
    Mutant(
        "told a refusal that may be a grant",
        "claimd/engine/batcher.py",
        "self.may_be_granted |= not isinstance(error, StoreRefused)",
        "pass",
        "tests/engine",
    ),
    Mutant(
        "every failure taken for unknown",
        "claimd/store/redis/errors.py",
        "return StoreRefused(sentence) if certain else StoreUnavailable(sentence)",
        "return StoreUnavailable(sentence)",
        "tests/store",
    ),
    Mutant(
        "a lost call taken for a refusal",
        "claimd/store/redis/script_calls.py",
        "                asked = True\n",
        "",
        "tests/store",
    ),
    Mutant(
        "a stray reply believed",
        "claimd/store/redis/script_calls.py",
        "or reply[0] != call_id:",
        "or not call_id:",
        "tests/store",
    ),
    Mutant(
        "time goes back within a round",
        "lua/claim.lua",
        "math.max(now_ms, last_grant_ms))\nlocal suffix",
        "now_ms)\nlocal suffix",
        "tests/store",
    ),
    Mutant(
        "a call for every few claims",
        "claimd/engine/batcher.py",
        "return waiting >= MAX_BATCH or ",
        "return waiting > 0 or ",
        "tests/engine",
    ),
    Mutant(
        "a lost connection not noticed",
        "claimd/store/redis/connections.py",
        "idle_seconds < EXPIRE_SECONDS and not await connection.can_read()",
        "idle_seconds < EXPIRE_SECONDS",
        "tests/store",
    ),
    Mutant(
        "anything taken for a pass",
        "claimd/gateway/lane/request.py",
        "if round_id is not None and _is_pass(data, start, end):",
        "if round_id is not None:",
        "tests/gateway/lane/test_request.py",
    ),
    Mutant(
        "the rest of a head not looked at",
        "claimd/gateway/lane/request.py",
        "shape = data[:start] + data[end:]",
        "shape = data[:start]",
        "tests/gateway/lane/test_request.py",
    ),
    Mutant(
        "a head may take for ever",
        "claimd/gateway/lane/connection.py",
        "REQUEST_SECONDS if self._part else self._lane.idle_seconds",
        "self._lane.idle_seconds",
        "tests/gateway/test_stalled.py",
    ),
    Mutant(
        "a head dripped for ever",
        "claimd/gateway/lane/connection.py",
        "if not self._part:\n            self._begun_at",
        "if True:\n            self._begun_at",
        "tests/gateway/test_stalled.py",
    ),
    Mutant(
        "a turn without end",
        "claimd/gateway/lane/budget.py",
        "elif not left:",
        "elif left < -1e9:",
        "tests/gateway/lane/test_budget.py",
    ),
    Mutant(
        "those who left still ask",
        "claimd/gateway/lane/connection.py",
        "        if self._transport is None:\n            # Nobody waits any more",
        "        if False:\n            # Nobody waits any more",
        "tests/gateway/lane/test_budget.py",
    ),
    Mutant(
        "all sent away for the same time",
        "claimd/http/replies.py",
        "int(random.random() * len(spread))",
        "0",
        "tests/http/test_refusals.py",
    ),
    Mutant(
        "simulated: a retry's answers told to others",
        "claimd/engine/batcher.py",
        "claims, attempt.claims = attempt.claims, []",
        "claims, attempt.claims = attempt.claims[:: -1 if attempt.failures else 1], []",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: a refusal that may be a grant",
        "claimd/engine/batcher.py",
        "self.may_be_granted |= not isinstance(error, StoreRefused)",
        "pass",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: every failure held for unknown",
        "claimd/engine/batcher.py",
        "self.may_be_granted |= not isinstance(error, StoreRefused)",
        "self.may_be_granted = True",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: only the last failure remembered",
        "claimd/engine/batcher.py",
        "self.may_be_granted |= ",
        "self.may_be_granted = ",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: a batch told twice",
        "claimd/engine/batcher.py",
        "claims, attempt.claims = attempt.claims, []",
        "claims = attempt.claims",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: overloaded after it was sent",
        "claimd/engine/batcher.py",
        "self._decided(late, [_UNAVAILABLE] * len(late))",
        "self._decided(late, [_OVERLOADED] * len(late))",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: not asked again",
        "claimd/engine/batcher.py",
        "while attempt.claims and not await self._ask(attempt):",
        "if attempt.claims and not await self._ask(attempt):",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: asked again past the deadline",
        "claimd/engine/batcher.py",
        "if claim[2] <= too_old]",
        "if claim[2] <= 0 * too_old]",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: given up, and asked again",
        "claimd/engine/batcher.py",
        "attempt.claims = [claim for claim in attempt.claims if claim[2] > too_old]",
        "pass",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: sent past the deadline",
        "claimd/engine/batcher.py",
        "while waiting and waiting[0][2] <= too_old:",
        "while waiting and waiting[0][2] < 0 * too_old:",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: nobody wakes the queue after a call",
        "claimd/engine/batcher.py",
        "        self._calls.discard(call)\n        self._send()\n",
        "        self._calls.discard(call)\n",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: nobody wakes the queue again",
        "claimd/engine/batcher.py",
        "        self._scheduled = False\n        while self._may_send():",
        "        while self._may_send():",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: a call that never ends",
        "claimd/engine/batcher.py",
        "        self._calls.discard(call)\n",
        "        pass\n",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: a third call",
        "claimd/engine/batcher.py",
        "if calls >= CALLS_IN_FLIGHT:",
        "if calls > CALLS_IN_FLIGHT:",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: one claim too many in a batch",
        "claimd/engine/batcher.py",
        "min(len(waiting), MAX_BATCH)",
        "min(len(waiting), MAX_BATCH + 1)",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: last come, first served",
        "claimd/engine/batcher.py",
        "return [waiting.popleft() for",
        "return [waiting.pop() for",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: no bound of the queue",
        "claimd/engine/batcher.py",
        "if ahead >= limits.max_waiting or (",
        "if (",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: a listener's error goes further",
        "claimd/engine/batcher.py",
        "            except Exception:\n                _log.exception",
        "            except ValueError:\n                _log.exception",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: a bug leaves its batch untold",
        "claimd/engine/batcher.py",
        "            self._decided(attempt.claims, [_UNAVAILABLE] * len(attempt.claims))\n\n",
        "            pass\n\n",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: a pause that grows and grows",
        "claimd/engine/batcher.py",
        "_MAX_BACKOFF_SECONDS = 0.25",
        "_MAX_BACKOFF_SECONDS = 25.0",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "a batch that is expected for ever",
        "claimd/engine/batcher.py",
        "self._expected_wait.end(number)",
        "pass",
        "tests/engine",
    ),
    Mutant(
        "simulated: never recovered from a failure",
        "claimd/engine/expected_wait.py",
        "        self._failing_since = inf\n        self._look()",
        "        self._look()",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: one slow call is never forgotten",
        "claimd/engine/expected_wait.py",
        "self._call_seconds = known + _NEWEST * (seconds - known)",
        "self._call_seconds = max(known, seconds)",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: nobody let in to find out",
        "claimd/engine/batcher.py",
        "ahead and self._expected_wait.",
        "self._expected_wait.",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: one queue for all rounds",
        "claimd/engine/engine.py",
        "batcher = self._batchers.get((round_id, epoch))",
        "batcher = next(iter(self._batchers.values()), None)",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: claims of two rounds exchanged",
        "claimd/engine/engine.py",
        "Batcher(self._store, round_id,",
        "Batcher(self._store, next(iter(self._batchers), (round_id, epoch))[0],",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: the model grants twice",
        "claimd/store/memory.py",
        "if held is not None:",
        "if held is not None and held.serial % 2:",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: the model refuses who holds a claim",
        "claimd/store/memory.py",
        "if held is not None:",
        "if held is not None and state.round.remaining > 0:",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: the model's time goes back",
        "claimd/store/memory.py",
        "        now_ms = max(now_ms, state.round.last_grant_ms)\n        serial",
        "        serial",
        "tests/simulation/test_simulation.py",
    ),
    Mutant(
        "simulated: the model grants one too many",
        "claimd/domain/rounds.py",
        "if self.remaining <= 0:",
        "if self.remaining < 0:",
        "tests/simulation/test_simulation.py",
    ),
    Mutant("audit trusts the counter", "claimd/audit/audit.py", "held.grants == state.issued", "True", "tests/audit"),
    Mutant(
        "pass not bound to round",
        "claimd/identity/passes.py",
        "mac.update(round_id.encode())",
        "pass",
        "tests/identity",
    ),
    Mutant(
        "pass never expires",
        "claimd/identity/passes.py",
        'int.from_bytes(payload[1:8], "big") <= now_ms',
        "False",
        "tests/identity",
    ),
    Mutant(
        "a pass compared byte by byte",
        "claimd/identity/passes.py",
        "if not compare_digest(raw[_PAYLOAD_BYTES:], self._mac(payload, round_id)):",
        "if raw[_PAYLOAD_BYTES:] != self._mac(payload, round_id):",
        "tests/identity/test_constant_time.py",
    ),
    Mutant(
        "other spellings taken for a pass",
        "claimd/identity/passes.py",
        'bytes.maketrans(b"-_+/", b"+/--")',
        'bytes.maketrans(b"-_", b"+/")',
        "tests/identity/test_passes_fuzz.py",
    ),
    Mutant(
        "the header's algorithm believed",
        "claimd/identity/bearer.py",
        "key,\n                algorithms=[key.algorithm_name],",
        "key.key,\n                algorithms=[jwt.get_unverified_header(token)['alg']],",
        "tests/identity/test_bearer.py",
    ),
    Mutant(
        "any sub for the person",
        "claimd/identity/bearer.py",
        "subject = claims[self._rules.identity]",
        'subject = claims["sub"]',
        "tests/identity/test_bearer.py",
    ),
    Mutant(
        "true taken for 1",
        "claimd/identity/eligibility.py",
        "if isinstance(value, bool) or isinstance(allowed, bool):",
        "if False:",
        "tests/identity/test_eligibility.py",
    ),
    Mutant(
        "an encryption key taken for a signing one",
        "claimd/identity/jwks.py",
        'entry.get("use") not in (None, "sig")',
        "False",
        "tests/identity/test_jwks.py",
    ),
    Mutant(
        "unknown keys cause any number of readings",
        "claimd/identity/fresh_keys.py",
        "if now - self._asked_at < ASKED_SECONDS:",
        "if False:",
        "tests/identity/test_fresh_keys.py",
    ),
    Mutant(
        "a bad JWKS takes the keys away",
        "claimd/identity/fresh_keys.py",
        "self._due = now + ASKED_SECONDS",
        "self._jwks, self._due = None, now + ASKED_SECONDS",
        "tests/identity/test_fresh_keys.py",
    ),
    Mutant(
        "a reading for each waiting request",
        "claimd/identity/fresh_keys.py",
        "if self._reading is None or self._reading.done():",
        "if True:",
        "tests/identity/test_fresh_keys.py",
    ),
    Mutant(
        "a file rewritten in the same moment not seen",
        "claimd/identity/jwks_source.py",
        "if abs(time.time() - state.st_mtime) > _SETTLED_SECONDS else None",
        "if True else None",
        "tests/identity/test_fresh_keys.py",
    ),
    Mutant(
        "a secret with its line end",
        "claimd/settings.py",
        "stripped = secret.get_secret_value().strip()",
        "stripped = secret.get_secret_value()",
        "tests/test_settings.py",
    ),
    Mutant(
        "a Service taken for a port",
        "claimd/settings.py",
        'if not is_injected(name, value or "")',
        "if True",
        "tests/test_settings.py",
    ),
    Mutant(
        "a refused token without its reason",
        "claimd/http/problems.py",
        "counts.unauthenticated[self.reason] += 1",
        "pass",
        "tests/gateway/test_tokens.py",
    ),
    Mutant(
        "an admin token compared byte by byte",
        "claimd/console/access.py",
        """compare_digest(
        token.strip().encode(errors="surrogateescape"), expected.encode()
    )""",
        "token.strip() == expected",
        "tests/identity/test_constant_time.py",
    ),
    Mutant(
        "operators' routes open by default",
        "claimd/console/access.py",
        'resource.canonical in _OPEN if resource is not None else not request.path.startswith("/admin/")',
        'not request.path.startswith("/admin/")',
        "tests/console/test_access.py",
    ),
    Mutant(
        "operators' routes closed by spelling",
        "claimd/console/access.py",
        "resource.canonical in _OPEN if resource is not None else",
        'not request.raw_path.startswith("/admin/") if resource is not None else',
        "tests/console/test_access.py",
    ),
    Mutant(
        "operators' routes on the public port",
        "claimd/gateway/app.py",
        'web.get("/readyz", readyz),',
        'web.get("/readyz", readyz), web.get("/admin/v1/rounds", list_rounds),',
        "tests/console/test_access.py",
    ),
    Mutant(
        "lines of a log that strangers write",
        "claimd/cli/terminal/logs.py",
        "line = legible(super().formatMessage(record))",
        "line = super().formatMessage(record)",
        "tests/up/test_logs.py",
    ),
    Mutant(
        "tracebacks that look like a log",
        "claimd/cli/terminal/logs.py",
        "[line, *(_BAR + legible(part) for part in traceback)]",
        "[line, *map(legible, traceback)]",
        "tests/up/test_logs.py",
    ),
    Mutant(
        "titles that a terminal obeys",
        "claimd/cli/terminal/show.py",
        "return escape(legible(text))",
        "return escape(text)",
        "tests/cli/test_printable.py",
    ),
    Mutant(
        "every child told every secret",
        "claimd/supervisor/child_environment.py",
        "if value is not None and name != without:",
        "if value is not None:",
        "tests/up/test_secrets.py",
    ),
    Mutant(
        "credentials in the log",
        "claimd/http/middleware.py",
        'could not be answered: %s", request.method, request.path, error)',
        'could not be answered: %s", request.method, request.headers, error)',
        "tests/up/test_secrets.py",
    ),
    Mutant(
        "an identity quoted with its command",
        "claimd/store/redis/store.py",
        "_replies(await pipeline.execute(raise_on_error=False))",
        "await pipeline.execute()",
        "tests/up/test_secrets.py",
    ),
    Mutant(
        "a cancelled report goes on",
        "claimd/metrics/reporter.py",
        "if task is not None and task.cancelling():",
        "if False:",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a cancelled merging goes on",
        "claimd/metrics/merging.py",
        "if task is not None and task.cancelling():",
        "if False:",
        "tests/metrics/test_merging.py",
    ),
    Mutant(
        "an idle gateway writes each second",
        "claimd/metrics/reporter.py",
        "and self._quiet < QUIET_REPORTS:",
        "and self._quiet < 1:",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a report fails silently",
        "claimd/metrics/reporter.py",
        "self._trouble.failed(error, unexpected=not isinstance(error, StoreError | TimeoutError))",
        "pass",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a save in doubt forgotten",
        "claimd/metrics/reporter.py",
        "if has_arrived:",
        "if False:",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a save in doubt not repeated as it was",
        "claimd/metrics/reporter.py",
        "        if self._run.in_doubt is not None:\n            return self._run.in_doubt\n",
        "",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "counts of one name for all runs",
        "claimd/metrics/reporter.py",
        "{self._worker}.{os.urandom(8).hex()}",
        "{self._worker}",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a merged run saves on",
        "lua/counts_save.lua",
        "if ended then",
        "if false then",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a live run is merged",
        "lua/counts_merge.lua",
        "< silent_ms then",
        "< 0 then",
        "tests/metrics/test_merging.py",
    ),
    Mutant(
        "a merged run shown twice",
        "claimd/store/redis/counts.py",
        "_runs(read_pairs(flat_runs)).items()",
        "{name: (0, 0) for name in names}.items()",
        "tests/metrics/test_merging.py",
    ),
    Mutant(
        "old counts shown twice",
        "claimd/metrics/tally.py",
        "if FOLDED in saved.past else",
        "if False else",
        "tests/metrics/test_merging.py",
    ),
    Mutant(
        "settled claims lost",
        "lua/counts_settle.lua",
        "redis.call('HSET', KEYS[1], unpack(writes))",
        "-- nothing",
        "tests/metrics/test_merging.py",
    ),
    Mutant(
        "no metrics while the server is away",
        "claimd/console/metrics.py",
        "    trouble.failed(error, unexpected=not isinstance(error, StoreError))\n    return None",
        "    raise error",
        "tests/console/test_metrics.py",
    ),
    Mutant(
        "the limit only by the lane",
        "claimd/gateway/credentials.py",
        "if not context.rate_limit.admit(asking.identity):",
        "if False:",
        "tests/gateway/test_rate_limit.py",
    ),
    Mutant(
        "a limit that never forgets",
        "claimd/gateway/rate_limit.py",
        "self._asked.clear()",
        "pass",
        "tests/gateway/test_rate_limiter.py",
    ),
    Mutant(
        "granted without a pass",
        "claimd/gateway/lane/connection.py",
        "            self._refuse(unauthenticated(verified))\n            return",
        "            verified = bytes(16), 0",
        "tests/gateway/test_fuzz.py",
    ),
    Mutant(
        "checker blind to real time",
        "loadtest/history/sequence.py",
        "reached > told_by + skew",
        "reached > told_by + 1e9",
        "tests/loadtest/test_history.py",
    ),
    Mutant(
        "checker knows no doubt",
        "loadtest/history/rules.py",
        "(owners >= 0) & people.in_doubt[owners]",
        "False",
        "tests/loadtest/test_history_model.py",
    ),
    Mutant(
        "checker forgets a raise",
        "loadtest/history/timeline.py",
        "self.total_rose |= self.total is not None and total > self.total",
        "pass",
        "tests/loadtest/test_history_model.py",
    ),
    Mutant(
        "checker reads no log",
        "loadtest/history/consistency.py",
        "count(~there) + count(~alike)",
        "0",
        "tests/loadtest/test_history.py",
    ),
    Mutant(
        "a cache may keep an answer",
        "claimd/http/caching.py",
        "response.headers.setdefault(hdrs.CACHE_CONTROL, NO_STORE)",
        "pass",
        "tests/http/test_caching.py",
    ),
    Mutant(
        "a cache may keep what the library refuses",
        "claimd/http/server.py",
        "            forbid_caching(answer)\n",
        "            pass\n",
        "tests/http/test_caching.py",
    ),
    Mutant(
        "a cache may keep a claim of the lane",
        "claimd/http/raw_answers.py",
        'f"Cache-Control: {NO_STORE}\\r\\n"',
        '""',
        "tests/http/test_caching.py",
    ),
    Mutant(
        "a node of a cluster is taken for a server",
        "claimd/doctor/role.py",
        "if facts.mode in _NO_SERVER_OF_ITS_OWN:",
        "if False:",
        "tests/doctor/test_wrong_servers.py",
    ),
    Mutant(
        "only INFO tells what a server is",
        "claimd/doctor/facts.py",
        'said = list(await server.execute_command("HELLO"))',
        'return None\n        said = list(await server.execute_command("HELLO"))',
        "tests/doctor/test_wrong_servers.py",
    ),
    Mutant(
        "a damaged round costs the list",
        "claimd/store/redis/damage.py",
        "except (KeyError, ValueError, TypeError) as error:",
        "except ZeroDivisionError as error:",
        "tests/store/redis/test_damage.py",
    ),
    Mutant(
        "a cut file is started",
        "claimd/embedded/synced_size.py",
        "if noted is None or found >= noted:",
        "if True:",
        "tests/embedded/test_cut_file.py",
    ),
    Mutant(
        "noted before it is on disk",
        "claimd/embedded/synced_size.py",
        "            written = self._newest()\n            await ping()\n",
        "            await ping()\n            written = self._newest()\n",
        "tests/embedded/test_cut_file.py",
    ),
    Mutant(
        "a directory that another has made is trusted",
        "claimd/embedded/data_dir.py",
        "or os.geteuid() not in (status.st_uid, 0):",
        "and False:",
        "tests/embedded/test_volumes.py",
    ),
    Mutant(
        "any answer is healthy",
        "claimd/healthcheck.py",
        'return head == b"HTTP/1.1 200"',
        "return bool(head)",
        "tests/test_healthcheck.py",
    ),
    Mutant(
        "index of rounds written after the round",
        "claimd/store/redis/round_index.py",
        "        if closes_at_ms is None:\n            return",
        "        if closes_at_ms is not None:\n            return",
        "tests/store/redis/test_round_index.py",
    ),
    Mutant(
        "index of rounds not compared after an edit",
        "claimd/store/redis/round_index.py",
        "if found in (state, None):",
        "if found is not False:",
        "tests/store/redis/test_round_index.py",
    ),
    Mutant(
        "index of rounds forgets what is created anew",
        "claimd/store/redis/round_index.py",
        "if created is not None:",
        "if created is False:",
        "tests/store/redis/test_round_index.py",
    ),
    Mutant(
        "index of rounds not completed",
        "claimd/store/redis/round_index.py",
        "named == indexed",
        "True",
        "tests/store/redis/test_round_index.py",
    ),
    Mutant(
        "calls that leave together mixed up",
        "claimd/store/redis/call_groups.py",
        "zip(group, told, strict=True)",
        "zip(group, told[::-1], strict=True)",
        "tests/store/redis/test_call_groups.py",
    ),
    Mutant(
        "calls that leave together repeated as a whole",
        "claimd/store/redis/script_calls.py",
        "unknown = [at for at in range(len(commands)) if isinstance(replies[at], NoScriptError)]",
        "unknown = [at for at in range(len(commands)) if any(isinstance(r, NoScriptError) for r in replies)]",
        "tests/store/redis/test_call_groups.py",
    ),
    Mutant(
        "a list read by each who asks",
        "claimd/gateway/round_lists.py",
        "self._clock() - page[0] >= _FRESH_SECONDS",
        "self._clock() - page[0] >= 0",
        "tests/http/test_round_pages.py",
    ),
)


_FAULTS = "tests/faults/test_faults.py::test_promises_are_kept"

# What only a running claimd can show, that is broken while people claim.
MUTANTS += (
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
        "elseif state[5] == '1' then",
        "elseif false then",
        f"{_FAULTS}[orders]",
    ),
    Mutant(
        "an hour back closes a round",
        "lua/claim.lua",
        "window_ms = math.max(now_ms, last_grant_ms)",
        "window_ms = now_ms",
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
        "return Replicated(clock) if durability is Durability.REPLICA else Local()",
        "return Local()",
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
        "a replay is not waited for",
        "lua/claim.lua",
        "elseif replayed and rewrite == '1' then",
        "elseif false then",
        "tests/store/redis/test_acknowledgement.py",
    ),
    Mutant(
        "told without a confirmation",
        "claimd/store/redis/acknowledgement.py",
        "_UNAVAILABLE if decision.serial else decision",
        "decision",
        "tests/store/redis/test_acknowledgement.py",
    ),
    Mutant(
        "refusals wait for a replica",
        "claimd/store/redis/acknowledgement.py",
        "_UNAVAILABLE if decision.serial else decision",
        "_UNAVAILABLE",
        "tests/store/redis/test_acknowledgement.py",
    ),
    Mutant(
        "an edit told without a confirmation",
        "claimd/store/redis/acknowledgement.py",
        "if not self._read(replies, needed=done) and done:",
        "if False:",
        "tests/store/redis/test_acknowledgement.py",
    ),
    Mutant(
        "a replica's disk asked once",
        "claimd/store/redis/acknowledgement.py",
        '("WAIT", 1, patience_ms)',
        '("WAIT", 0, patience_ms)',
        "tests/store/redis/test_acknowledgement.py",
    ),
    Mutant(
        "always patient with a replica",
        "claimd/store/redis/acknowledgement.py",
        "_IMPATIENCE_MS if",
        "PATIENCE_MS if",
        "tests/store/redis/test_acknowledgement.py",
    ),
    Mutant(
        "a claim shown that no replica has",
        "claimd/store/redis/store.py",
        'if claim is not None and self._sure.rewrite == "1":',
        "if False:",
        "tests/store/redis/test_acknowledgement.py",
    ),
    Mutant(
        "durability not handed down",
        "claimd/compose.py",
        "settings.durability, installation_of(settings))\n    await",
        "type(settings.durability).LOCAL, installation_of(settings))\n    await",
        "tests/up/test_failover.py",
    ),
    Mutant(
        "an evicting server accepted",
        "claimd/doctor/eviction.py",
        'elif policy != "noeviction":',
        "elif False:",
        "tests/doctor/test_examine.py",
    ),
    Mutant(
        "a replica taken for a primary",
        "claimd/doctor/role.py",
        'facts.info.get("role") == "master"',
        "True",
        "tests/doctor/test_examine.py",
    ),
    Mutant(
        "claims not tried",
        "claimd/doctor/permissions.py",
        "        await _try_everything(store)\n    except",
        "    except",
        "tests/doctor/test_examine.py",
    ),
    Mutant(
        "a right too many",
        "docs/production.md",
        "+xrevrange +info",
        "+xrevrange +info +del",
        "tests/doctor/test_least_privilege.py",
    ),
    Mutant(
        "a right too few",
        "docs/production.md",
        "+xrange +xrevrange",
        "+xrevrange",
        "tests/doctor/test_least_privilege.py",
    ),
    Mutant(
        "archived whatever was claimed since",
        "lua/round_archive.lua",
        "state[2] ~= version or state[3] ~= issued",
        "state[2] ~= version",
    ),
    Mutant(
        "archived whatever was edited since",
        "lua/round_archive.lua",
        "state[2] ~= version or state[3] ~= issued",
        "state[3] ~= issued",
    ),
    Mutant(
        "an open round archived",
        "lua/round_archive.lua",
        "elseif state[5] ~= '1' and now_ms",
        "elseif now_ms < 0 and now_ms",
    ),
    Mutant(
        "an archived round claimed in", "lua/claim.lua", "if not state[1] or state[10] then", "if not state[1] then"
    ),
    Mutant("an archived round edited", "lua/round_edit.lua", "if state[9] then", "if false then"),
    Mutant("an archived round deleted", "lua/round_delete.lua", "if state[5] then", "if false then"),
    Mutant(
        "archived without an audit",
        "claimd/console/archive.py",
        "if not file.audit.ok:",
        "if False:",
        "tests/console/test_archive.py",
    ),
    Mutant(
        "the archive of an unknown outcome removed",
        "claimd/console/archive.py",
        "except (ProblemError, StoreRefused):",
        "except Exception:",
        "tests/console/test_archive.py",
    ),
    Mutant(
        "one archive in another's place",
        "claimd/console/archive_folder.py",
        "{self.round_id}.{self.sha256[:16]}{SUFFIX}",
        "{self.round_id}{SUFFIX}",
        "tests/console/test_archive.py",
    ),
    Mutant(
        "half a log taken for the whole",
        "claimd/store/redis/store.py",
        "            if not page:\n",
        "            if not page:\n                return\n",
        "tests/console/test_archive.py",
    ),
    Mutant(
        "an archive without an end audited",
        "claimd/audit/archive_file.py",
        """        raise ArchiveError(f"{self._path} is damaged: its end is missing")""",
        "        return",
        "tests/audit/test_archive_file.py",
    ),
)

# Logs that are not read, children that hang, signals.
MUTANTS += (
    Mutant(
        "a role waits for its log",
        "claimd/cli/terminal/outlet.py",
        'setattr(sys, name, Lines(outlet, fd, getattr(sys, name).encoding or "utf-8"))',
        "pass",
        "tests/up/test_unread_logs.py",
    ),
    Mutant(
        "lines go missing unsaid",
        "claimd/cli/terminal/outlet.py",
        "            count = self._missing.pop(fd)\n",
        "            count = self._missing.pop(fd)\n            return\n",
        "tests/cli/test_outlet.py",
    ),
    Mutant(
        "every record of a kind written",
        "claimd/cli/terminal/logs.py",
        "        if held is None:\n",
        "        if True:\n",
        "tests/up/test_unread_logs.py::test_strangers_do_not_fill_the_log",
    ),
    Mutant(
        "a worker that hangs keeps its share",
        "claimd/supervisor/shared_port.py",
        "if 0 < len(self._answering) < len(self._listeners):",
        "if False:",
        "tests/supervisor/test_shared_port.py",
    ),
    Mutant(
        "silence that nobody could hear",
        "claimd/supervisor/watch.py",
        "self._silent += min(seconds, 2 * _TICK_SECONDS)",
        "self._silent += seconds",
        "tests/supervisor/test_watch.py",
    ),
    Mutant(
        "a supervisor that stood still takes all for hung",
        "claimd/supervisor/watch.py",
        "self._silent += min(seconds, 2 * _TICK_SECONDS)",
        "self._silent += seconds",
        f"{_FAULTS}[stop-supervisor]",
    ),
    Mutant(
        "a child that hangs is left alone",
        "claimd/supervisor/supervisor.py",
        'killing it")\n        child.signal(signal.SIGKILL)',
        'killing it")',
        f"{_FAULTS}[hang-server]",
    ),
    Mutant(
        "a repeated SIGTERM kills",
        "claimd/supervisor/signals.py",
        "elif number is signal.SIGINT and ",
        "elif ",
        "tests/supervisor/test_signals.py",
    ),
    Mutant(
        "SIGHUP ends a lone role undrained",
        "claimd/supervisor/signals.py",
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):",
        "for number in (signal.SIGTERM, signal.SIGINT):",
        "tests/up/test_signals.py",
    ),
)


def passes(tests: str, mutant: Mutant | None = None) -> bool:
    """Whether these tests pass on a copy, with the mutant in it if there is one."""
    with tempfile.TemporaryDirectory() as folder:
        return _passes(tests, mutant, Path(folder))


def _passes(tests: str, mutant: Mutant | None, folder: Path) -> bool:
    ignore = shutil.ignore_patterns(".git", ".venv", "out", "__pycache__", ".*_cache", "*.egg-info", ".hypothesis")
    copy = folder / "claimd"
    shutil.copytree(CHECKOUT, copy, ignore=ignore)
    if mutant is not None:
        path = copy / mutant.file
        source = path.read_text()
        if source.count(mutant.old) != 1:
            sys.exit(f"the mutant '{mutant.name}' does not fit {mutant.file} any more")
        path.write_text(source.replace(mutant.old, mutant.new))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", tests]
    done = subprocess.run(command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True)
    # 1 is "tests failed"; anything else is a suite that did not even run.
    if done.returncode not in (0, 1):
        sys.exit(f"the tests in {tests} did not run:\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


def main() -> None:
    """Try the mutants whose names contain the word that was given, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="only mutants whose name contains this")
    word = parser.parse_args().word
    chosen = [mutant for mutant in MUTANTS if word in mutant.name]
    for tests in sorted({mutant.tests for mutant in chosen}):
        # Tests that fail by themselves would kill anything.
        if not passes(tests):
            sys.exit(f"{tests} fails without any mutant")
    survivors = 0
    for mutant in chosen:
        begun = time.monotonic()
        dead = not passes(mutant.tests, mutant)
        survivors += not dead
        print(f"{'killed  ' if dead else 'SURVIVED'}  {mutant.name:46} {time.monotonic() - begun:5.1f} s", flush=True)
    sys.exit(survivors > 0)


if __name__ == "__main__":
    main()
