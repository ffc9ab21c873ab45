"""Changes that `tests/audit/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "audit trusts the counter", "claimd/audit/audit.py", "claimed.grants == state.issued", "True", "tests/audit"
    ),
    Mutant(
        "an archive without an end audited",
        "claimd/audit/archive_file.py",
        """        raise ArchiveError(f"{self._path} is damaged: its end is missing")""",
        "        return",
        "tests/audit/test_archive_file.py",
    ),
)
