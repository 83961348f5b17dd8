"""A schedule as a picture: a Gantt chart of the processors; below it how many were busy, and jobs queued."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from birdbath.traces.records import JobRecord, TraceError
from birdbath.traces.statistics import busy, lanes, queued

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png", ".pdf")
_MANY = 3000
"""From so many bars on the Gantt chart is pixels even in an SVG, which would be too large else."""
_UNITS = ((86400.0 * 3, 86400.0, "days"), (3600.0 * 3, 3600.0, "hours"), (60.0 * 3, 60.0, "minutes"))


def draw(records: Sequence[JobRecord], processors: int, title: str, path: Path) -> None:
    """Write the picture, in the format that the file's name ends with.

    Raises TraceError for another ending, or when matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise TraceError(f"{path}: a picture is one of {', '.join(FORMATS)}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise TraceError("a picture needs matplotlib: pip install 'birdbath[picture]'") from None

    begin = min((record.submit for record in records), default=0.0)
    end = max((record.end for record in records), default=1.0)
    scale, unit = next(((s, u) for least, s, u in _UNITS if end - begin >= least), (1.0, "seconds"))
    # The same run gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "birdbath", "font.size": 9}):
        figure = Figure(figsize=(11, 7), layout="constrained")
        gantt, level, waiting = figure.subplots(3, 1, sharex=True, height_ratios=(5, 2, 1.4))
        gantt.set_title(title)
        _gantt(gantt, records, begin, scale)
        gantt.set_ylim(-0.5, max(processors, 1) - 0.5)
        _steps(level, busy(records), begin, scale, "tab:blue")
        level.axhline(processors, color="0.4", linewidth=0.8, linestyle="--")
        level.set_ylim(0, max(processors * 1.08, 1))
        level.set_ylabel("busy")
        _steps(waiting, queued(records), begin, scale, "tab:orange")
        waiting.set_ylabel("queued jobs")
        waiting.set_ylim(bottom=0)
        for axes in (gantt, level, waiting):
            axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        waiting.set_xlabel(f"{unit} since the first submission")
        waiting.set_xlim(0, max((end - begin) / scale, 1e-9))
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        figure.savefig(path, dpi=130, metadata=metadata)


def _gantt(axes: Axes, records: Sequence[JobRecord], begin: float, scale: float) -> None:
    from matplotlib import colormaps
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Patch, Rectangle

    users = sorted({record.user for record in records})
    palette = colormaps["tab20"]
    colors = {user: palette(number % 20) for number, user in enumerate(users)}
    bars, faces = [], []
    for record, mine in lanes(records):
        for low, high in _runs(mine):
            corner = ((record.start - begin) / scale, low - 0.45)
            bars.append(Rectangle(corner, record.runtime / scale, high - low + 0.9))
            faces.append(colors[record.user])
    edge = "white" if len(bars) < _MANY else "none"
    axes.add_collection(
        PatchCollection(bars, facecolor=faces, edgecolor=edge, linewidth=0.3, rasterized=len(bars) >= _MANY)
    )
    axes.set_ylabel("processor")
    if 1 < len(users) <= 12:
        handles = [Patch(color=colors[user], label=user) for user in users]
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring numbers together, as (first, last)."""
    groups = groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])
    return [(run[0][1], run[-1][1]) for run in (list(group) for _, group in groups)]


def _steps(axes: Axes, levels: tuple[list[float], list[int]], begin: float, scale: float, color: str) -> None:
    times = [(when - begin) / scale for when in levels[0]]
    axes.fill_between(times, levels[1], step="post", color=color, alpha=0.45, linewidth=0)
    axes.step(times, levels[1], where="post", color=color, linewidth=0.8)
