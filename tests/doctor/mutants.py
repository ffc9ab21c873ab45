"""Changes that `tests/doctor/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
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
)
