"""Changes that `tests/gateway/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "eligibility before the claim that is held",
        "claimd/gateway/claims.py",
        "        eligible = is_caller_eligible(item, caller)\n",
        "        eligible = is_caller_eligible(item, caller)\n"
        "        if not eligible:\n"
        "            raise reject(Code.NOT_ELIGIBLE)\n",
        "tests/gateway/test_answers.py",
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
        "claimd/http/aiohttp_door.py",
        "if not self._messages and not self._being_answered:",
        "if True:",
        "tests/gateway/test_half_closed.py",
    ),
    Mutant(
        "half-closed clients kept by aiohttp",
        "claimd/http/aiohttp_door.py",
        "if self._ended and not self._messages:",
        "if False:",
        "tests/gateway/test_half_closed.py",
    ),
    Mutant(
        "a cut body waited for",
        "claimd/http/aiohttp_door.py",
        "if not body.is_eof():",
        "if False:",
        "tests/gateway/test_half_closed.py",
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
        "an iteration without end",
        "claimd/gateway/lane/budget.py",
        "elif not left:",
        "elif left < -1e9:",
        "tests/gateway/lane/test_budget.py",
    ),
    Mutant(
        "a claim submitted for a client that left",
        "claimd/gateway/lane/connection.py",
        "        if self._transport is None:\n            # The client left",
        "        if False:\n            # The client left",
        "tests/gateway/lane/test_budget.py",
    ),
    Mutant(
        "a refused token without its reason",
        "claimd/http/problems.py",
        "counts.unauthenticated[self.reason] += 1",
        "pass",
        "tests/gateway/test_tokens.py",
    ),
    Mutant(
        "the limit only by the lane",
        "claimd/gateway/credentials.py",
        "if not context.rate_limit.admit(caller.identity):",
        "if False:",
        "tests/gateway/test_rate_limit.py",
    ),
    Mutant(
        "a limit that never forgets",
        "claimd/gateway/rate_limit.py",
        "self._counts.clear()",
        "pass",
        "tests/gateway/test_rate_limiter.py",
    ),
    Mutant(
        "granted without a pass",
        "claimd/gateway/lane/connection.py",
        "            self._reject(unauthenticated(verified))\n            return",
        "            verified = bytes(16), 0",
        "tests/gateway/test_fuzz.py",
    ),
)
