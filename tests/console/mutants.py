"""Changes that `tests/console/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "an If-Match that an archived round passes over",
        "claimd/console/archive.py",
        "validated(Reason, await read_object(request)), wanted_version(request)",
        "validated(Reason, await read_object(request)), None",
        "tests/console/test_archive.py",
    ),
    Mutant(
        "operators' routes open by default",
        "claimd/console/access.py",
        "        return resource.canonical in _OPEN\n",
        '        return not request.path.startswith("/admin/")\n',
        "tests/console/test_access.py",
    ),
    Mutant(
        "operators' routes closed by spelling",
        "claimd/console/access.py",
        "        return resource.canonical in _OPEN\n",
        '        return not request.raw_path.startswith("/admin/")\n',
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
        "no metrics while the server is away",
        "claimd/console/metrics.py",
        "    trouble.failed(error, unexpected=not isinstance(error, StoreError))\n    return None",
        "    raise error",
        "tests/console/test_metrics.py",
    ),
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
        "except (ProblemError, StoreRejected):",
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
        "claimd/store/redis/log.py",
        "            if not page:\n",
        "            if not page:\n                return\n",
        "tests/console/test_archive.py",
    ),
)
