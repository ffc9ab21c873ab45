"""Changes that `tests/up/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "another secret accepted",
        "claimd/store/installation.py",
        "if theirs != self.fingerprint:",
        "if False:",
        "tests/up/test_installation.py",
    ),
    Mutant(
        "a new secret for claims of another one",
        "claimd/up/secret.py",
        "    if in_use:",
        "    if False:",
        "tests/up/test_installation.py",
    ),
    Mutant(
        "no bound on connections",
        "claimd/http/admission.py",
        "for door in self._doors) < self._most:",
        "for door in self._doors) >= 0:",
        "tests/up/test_few_files.py",
    ),
    Mutant(
        "clients write lines of the log",
        "claimd/cli/terminal/logs.py",
        "line = printable(super().formatMessage(record))",
        "line = super().formatMessage(record)",
        "tests/up/test_logs.py",
    ),
    Mutant(
        "tracebacks that look like a log",
        "claimd/cli/terminal/logs.py",
        "[line, *(_BAR + printable(part) for part in traceback)]",
        "[line, *map(printable, traceback)]",
        "tests/up/test_logs.py",
    ),
    Mutant(
        "credentials in the log",
        "claimd/http/middleware.py",
        'could not be answered: %s", request.method, request.path, error)',
        'could not be answered: %s", request.method, request.headers, error)',
        "tests/up/test_secrets.py",
    ),
    Mutant(
        "durability not handed down",
        "claimd/compose/gateway.py",
        "settings.durability, installation_of(settings))\n    await",
        "type(settings.durability).LOCAL, installation_of(settings))\n    await",
        "tests/up/test_failover.py",
    ),
    Mutant(
        "a full pipe of the log blocks a role",
        "claimd/cli/terminal/outlet.py",
        'setattr(sys, name, Lines(outlet, fd, getattr(sys, name).encoding or "utf-8"))',
        "pass",
        "tests/up/test_unread_logs.py",
    ),
    Mutant(
        "repeated records are all written",
        "claimd/cli/terminal/logs.py",
        "        if repeated is None:\n",
        "        if True:\n",
        "tests/up/test_unread_logs.py::test_strangers_do_not_fill_the_log",
    ),
    Mutant(
        "SIGHUP ends a lone role undrained",
        "claimd/supervisor/signals.py",
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):",
        "for number in (signal.SIGTERM, signal.SIGINT):",
        "tests/up/test_signals.py",
    ),
)
