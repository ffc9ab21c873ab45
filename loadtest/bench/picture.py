"""The picture for the docs: the CPU time of a granted claim, gateway and server stacked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_GATEWAY, _SERVER = "#2f6f9f", "#d98c3f"
_WIDTH_INCHES: Final = 8.0
_INCHES_PER_BAR: Final = 0.5


def draw(contenders: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the CPU time of gateway and server for WIN, one bar for each contender, and write it as SVG to `path`."""
    # Imported here: the import takes half a second, and only a finished bench draws.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = list(contenders)[::-1]
    gateway = [contenders[name]["gateway_us_per_claim"] for name in names]
    server = [contenders[name]["server_us_per_claim"] for name in names]
    figure = Figure(figsize=(_WIDTH_INCHES, 1.2 + _INCHES_PER_BAR * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, gateway, color=_GATEWAY, label="gateway")
    axes.barh(names, server, left=gateway, color=_SERVER, label="server")
    for index, total in enumerate(a + b for a, b in zip(gateway, server, strict=True)):
        axes.text(total, index, f" {total:.0f} µs", va="center")
    axes.set_xlabel("CPU time of a granted claim, µs (less is better)")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    # Keep text as text, and write equal files for equal figures.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "claimd"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
