"""Changes that `tests/embedded/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "a cut file is loaded",
        "claimd/embedded/synced_size.py",
        "if recorded is None or found >= recorded:",
        "if True:",
        "tests/embedded/test_cut_file.py",
    ),
    Mutant(
        "recorded before it is on disk",
        "claimd/embedded/synced_size.py",
        "            written = self._newest()\n            await ping()\n",
        "            await ping()\n            written = self._newest()\n",
        "tests/embedded/test_cut_file.py",
    ),
    Mutant(
        "a directory of another user is trusted",
        "claimd/embedded/data_dir.py",
        "or os.geteuid() not in (status.st_uid, 0):",
        "and False:",
        "tests/embedded/test_volumes.py",
    ),
)
