"""What is read before and after a measurement: CPU time as the operating system counts it, and the script calls."""

from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Self

import psutil
from redis import Redis


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU time and time in seconds, and the number of script calls, at one moment."""

    at: float
    gateway: float
    server: float
    calls: int

    @classmethod
    def take(cls, gateway: psutil.Process | None, server: psutil.Process, redis: "Redis") -> Self:
        """Read them now, the gateway's with all its children. Without a gateway its CPU time is 0."""
        calls = redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
        processes = [gateway, *gateway.children(recursive=True)] if gateway else []
        used = sum(_cpu_seconds(process) for process in processes)
        return cls(perf_counter(), used, _cpu_seconds(server), int(calls))


def _cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process so far, in user and kernel mode; 0 where it has ended."""
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
