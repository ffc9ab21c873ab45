"""The machine, and the processor time and memory of claimd's processes on it."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from loadtest.crowd.lateness import busiest_window

_ROOT: Final = Path(__file__).resolve().parents[2]


def facts() -> dict[str, Any]:
    """The machine, for the report."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def commit() -> str | None:
    """The commit of this working copy, with `+` where files differ from it; None outside of git."""
    try:
        head = _git("rev-parse", "HEAD")
        return f"{head}+" if _git("status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=_ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def runqueue_seconds() -> float | None:
    """Seconds this thread was ready to run while another had the core; None where the kernel has no count."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


@dataclass
class ProcessLog:
    """Processor time and memory of one process over a run; `moments` are seconds of the caller's clock."""

    process: psutil.Process
    moments: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)

    def sample(self, moment: float) -> None:
        """Add a sample; nothing where the process has ended."""
        try:
            with self.process.oneshot():
                times, memory = self.process.cpu_times(), self.process.memory_info()
        except psutil.Error:
            return
        self.moments.append(moment)
        self.cpu_seconds.append(times.user + times.system)
        self.rss_bytes.append(memory.rss)

    def summary(self) -> dict[str, float] | None:
        """CPU seconds; share of a core: mean, highest, over its busiest 5 s; peak memory. None without two samples."""
        if len(self.moments) < 2:
            return None
        used = self.cpu_seconds[-1] - self.cpu_seconds[0]
        shares = [
            (self.cpu_seconds[i] - self.cpu_seconds[i - 1]) / (self.moments[i] - self.moments[i - 1])
            for i in range(1, len(self.moments))
            if self.moments[i] > self.moments[i - 1]
        ]
        return {
            "cpu_seconds": round(used, 2),
            "cpu_fraction": round(used / (self.moments[-1] - self.moments[0]), 3),
            "cpu_fraction_peak": round(max(shares), 3),
            "busiest_cpu_fraction": round(busiest_window(self.moments, self.cpu_seconds), 3),
            "rss_peak_mib": round(max(self.rss_bytes) / 2**20, 1),
        }


def claimd_processes(data_dir: Path) -> dict[str, ProcessLog]:
    """The processes of a `claimd up` on this machine, by name; empty where there is none."""
    try:
        listed: dict[str, dict[str, Any]] = json.loads((data_dir / "processes.json").read_text())
    except (OSError, ValueError):
        return {}
    return _logs((name, entry["pid"]) for name, entry in listed.items() if "pid" in entry)


def _logs(pids: Iterable[tuple[str, int]]) -> dict[str, ProcessLog]:
    logs = {}
    for name, pid in pids:
        try:
            logs[name] = ProcessLog(psutil.Process(pid))
        except psutil.Error:
            continue
    return logs


def this_process() -> ProcessLog:
    """The log of this process."""
    return ProcessLog(psutil.Process())
