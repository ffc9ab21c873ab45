"""Runs a command that the kernel kills with its supervisor: `python -I -S tether.py SUPERVISOR_PID COMMAND …`.

A program of its own, run by path: it imports nothing of claimd, costs some 10 ms, and spares the supervisor a fork
with Python code between fork and exec. The tie (PR_SET_PDEATHSIG, see prctl(2)) outlives exec, but not a fork.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the command."""
    supervisor_pid, command = int(sys.argv[1]), sys.argv[2:]
    # SIGKILL, so that not even a hung child stays behind. What it was about to tell is unknown; asking again is safe.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"claimd: prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != supervisor_pid:
        sys.exit("claimd: the supervisor is gone already")
    os.execv(command[0], command)  # noqa: S606 - the command is the supervisor's own


if __name__ == "__main__":
    main()
