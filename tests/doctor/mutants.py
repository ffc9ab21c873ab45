"""Changes that `tests/doctor/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "a node of a cluster is accepted",
        "claimd/doctor/role.py",
        "if facts.mode in _UNUSABLE_MODES:",
        "if False:",
        "tests/doctor/test_wrong_servers.py",
    ),
    Mutant(
        "the mode is read from INFO alone",
        "claimd/doctor/facts.py",
        'hello = list(await server.execute_command("HELLO"))',
        'return None\n        hello = list(await server.execute_command("HELLO"))',
        "tests/doctor/test_wrong_servers.py",
    ),
    Mutant(
        "an evicting server is accepted",
        "claimd/doctor/eviction.py",
        'elif policy != "noeviction":',
        "elif False:",
        "tests/doctor/test_examine.py",
    ),
    Mutant(
        "a replica is accepted",
        "claimd/doctor/role.py",
        'facts.info.get("role") == "master"',
        "True",
        "tests/doctor/test_examine.py",
    ),
    Mutant(
        "permissions are not tried",
        "claimd/doctor/permissions.py",
        "        await _try_everything(store)\n    except",
        "    except",
        "tests/doctor/test_examine.py",
    ),
    Mutant(
        "a permission too many",
        "docs/production.md",
        "+xrevrange +info",
        "+xrevrange +info +del",
        "tests/doctor/test_least_privilege.py",
    ),
    Mutant(
        "a permission too few",
        "docs/production.md",
        "+xrange +xrevrange",
        "+xrevrange",
        "tests/doctor/test_least_privilege.py",
    ),
)
