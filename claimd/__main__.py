"""`python -m claimd`, and the command `claimd`.

The command line is imported inside `main`: half a second in which Ctrl-C ends the process without a traceback.
"""

import signal


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from claimd.cli.app import app

    signal.signal(signal.SIGINT, interrupt)
    try:
        app(prog_name="claimd")
    finally:
        # The interpreter ends; a second Ctrl-C must not interrupt that with a traceback.
        if interrupt is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
