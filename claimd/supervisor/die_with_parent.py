"""Runs a command that the kernel kills with its supervisor: `python -I -S die_with_parent.py SUPERVISOR_PID COMMAND …`.

A program of its own, run by path: it imports nothing of claimd, costs some 10 ms, and saves the supervisor from running
Python code between fork and exec. PR_SET_PDEATHSIG (see prctl(2)) outlives exec, but not a fork.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel to kill this process when its parent ends, then become the command."""
    supervisor_pid, command = int(sys.argv[1]), sys.argv[2:]
    # SIGKILL, so that not even a hung child stays. Claims that it was deciding have an unknown outcome: clients retry.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"claimd: prctl failed: {os.strerror(ctypes.get_errno())}")
    # It may have ended before prctl was called.
    if os.getppid() != supervisor_pid:
        sys.exit("claimd: the supervisor has ended")
    os.execv(command[0], command)  # noqa: S606 - the command is the supervisor's own


if __name__ == "__main__":
    main()
