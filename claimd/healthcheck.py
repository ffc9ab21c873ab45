"""`python -m claimd.healthcheck`: exit 0 if the role of this container lives, whichever it is. For Dockerfile's use."""

import sys
import urllib.error
import urllib.request

from claimd.settings import Settings

_TIMEOUT_SECONDS = 2.0


def lives(port: int) -> bool:
    """Whether a gateway or a console answers on this machine's port."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=_TIMEOUT_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    settings = Settings.read()
    sys.exit(not (lives(settings.port) or lives(settings.console_port)))
