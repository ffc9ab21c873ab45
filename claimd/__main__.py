"""`python -m claimd`, and the command `claimd`.

The command line is imported inside `main`, after Ctrl-C has been made to end the process without a traceback: the
import takes half a second.
"""

import signal


def main() -> None:
    """Run the command line. Ends the process with its exit code."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from claimd.cli.app import app

    signal.signal(signal.SIGINT, interrupt)
    try:
        app(prog_name="claimd")
    finally:
        # While the interpreter shuts down, a second Ctrl-C must not print a traceback.
        if interrupt is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
