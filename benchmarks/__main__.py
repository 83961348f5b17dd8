"""`python -m benchmarks`: measure, print a table, write JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import (
    ad_lists,
    following,
    growth,
    guard,
    queries,
    real_pool,
    relaying,
    simulation,
    small_calls,
    submissions,
    transfers,
)
from benchmarks.figures import Figure
from benchmarks.scale import FULL, QUICK, Scale

GROUPS: dict[str, Callable[[Path, Scale], list[Figure]]] = {
    "small_calls": small_calls.figures,
    "ad_lists": ad_lists.figures,
    "submissions": submissions.figures,
    "transfers": transfers.figures,
    "queries": queries.figures,
    "growth": growth.figures,
    "simulation": simulation.figures,
    "following": following.figures,
    "relaying": relaying.figures,
    "guard": guard.figures,
    "real_pool": real_pool.figures,
}
RESULTS = Path(__file__).with_name("results")
_LIBRARIES = ("spyne", "lxml", "uvicorn", "uvloop", "httptools", "sqlalchemy", "htcondor", "orjson")


def main(
    quick: Annotated[
        bool, typer.Option("--quick", help="As little as shows that everything can be measured.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(GROUPS)}; may be repeated.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Where the JSON goes; default: benchmarks/results/latest.json"),
    ] = None,
) -> None:
    """Measure Birdbath, each figure beside a reference from the same run, and tell which targets are met."""
    unknown = set(only or ()) - set(GROUPS)
    if unknown:
        raise typer.BadParameter(f"no such group: {', '.join(sorted(unknown))}")
    target = json_file or RESULTS / "latest.json"
    found: list[Figure] = []
    target.parent.mkdir(parents=True, exist_ok=True)
    for name in only or GROUPS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found += _measured(name, QUICK if quick else FULL)
        told = {**machine(), "quick": quick, "figures": [figure.as_json() for figure in found]}
        target.write_text(json.dumps(told, indent=1) + "\n")
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table(found))
    console.print(f"Written to {target}")


def _measured(name: str, scale: Scale) -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="birdbath-benchmark-"))
    try:
        return GROUPS[name](folder, scale)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def machine() -> dict[str, object]:
    """What the figures were measured on and with."""
    models = [
        line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
    ]
    memory = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "memory_mb": memory // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _LIBRARIES},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def table(found: list[Figure]) -> Table:
    """The figures for people."""
    shown = Table(title="Birdbath benchmarks")
    shown.add_column("figure")
    for column in ("measured", "reference", "ratio", "target"):
        shown.add_column(column, justify="right")
    shown.add_column("met")
    group = ""
    for figure in found:
        if figure.group != group:
            group = figure.group
            shown.add_section()
        shown.add_row(*_row(figure))
    return shown


def _row(figure: Figure) -> tuple[str, ...]:
    met = {True: "[green]yes", False: "[red]NO", None: ""}[figure.met]
    target = ""
    if figure.at_most is not None:
        target = f"<= {figure.at_most:g}"
    elif figure.at_least is not None:
        target = f">= {figure.at_least:.3g}"
    reference = (
        "" if figure.reference is None else f"{figure.reference:,.4g} {figure.unit} ({figure.reference_name})"
    )
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
    return figure.name, f"{figure.value:,.4g} {figure.unit}", reference, ratio, target, met


if __name__ == "__main__":
    typer.run(main)
