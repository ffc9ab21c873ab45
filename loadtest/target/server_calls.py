"""How often the server behind a claimd is called: a read of its socket each, however many commands come with it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from redis.exceptions import RedisError

from loadtest.crowd.arrivals import Floats
from loadtest.target import valkey

if TYPE_CHECKING:
    from redis import Redis

_SCHEME: Final = "unix://"


@dataclass
class ServerCalls:
    """The count of a server's reads over a run; `moments` are seconds of the caller's clock."""

    client: "Redis"
    moments: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    @classmethod
    def of_claimd(cls, data_dir: Path) -> Self | None:
        """Those of the Valkey that a `claimd up` on this machine embeds; None where there is none."""
        try:
            url: str = json.loads((data_dir / "processes.json").read_text())["valkey"]["url"]
        except (OSError, ValueError, KeyError):
            return None
        return cls(valkey.client(Path(url.removeprefix(_SCHEME)))) if url.startswith(_SCHEME) else None

    def sample(self, moment: float) -> None:
        """Add a sample, itself a call; nothing where the server does not answer."""
        try:
            count = self.client.info("stats")["total_reads_processed"]
        except (RedisError, OSError, KeyError):
            return
        self.moments.append(moment)
        self.counts.append(int(count) - len(self.counts))

    def per_second(self, edges: Floats) -> list[float] | None:
        """Calls a second in each of the stretches between `edges`; None without two samples."""
        if len(self.moments) < 2:
            return None
        counts = np.interp(edges, self.moments, self.counts)
        return [round(float(rate), 1) for rate in np.diff(counts) / np.diff(edges)]

    def close(self) -> None:
        """Close the connection to the server."""
        self.client.close()
