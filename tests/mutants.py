"""Mutants that the tests of settings and health check must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
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
        "any answer is healthy",
        "claimd/healthcheck.py",
        'return head == b"HTTP/1.1 200"',
        "return bool(head)",
        "tests/test_healthcheck.py",
    ),
)
