"""Printing: tables with colour and progress bars on a terminal, plain text and JSON everywhere else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TextIO

from birdbath.client import Ad, AdValue, Expression, literal

if TYPE_CHECKING:
    from rich.progress import Progress


_LONGEST = 86400.0 * 1_000_000


class Column(NamedTuple):
    """A column of a table; `style` gives colours to some of its texts."""

    title: str
    align: Literal["left", "right"] = "left"
    style: Mapping[str, str] = MappingProxyType({})


def interactive() -> bool:
    """Whether somebody is looking at standard output."""
    return sys.stdout.isatty()


def output() -> TextIO:
    """Standard output, for what must not be lost. Raises BrokenPipeError when it is closed."""
    if sys.__stdout__ is None:
        raise BrokenPipeError
    return sys.stdout


def say(text: str = "") -> None:
    """A line on standard output, safe for a terminal."""
    print(safe(text) if interactive() else text)


def safe(text: str) -> str:
    """Text without characters that steer a terminal: what stands in ads was written by others."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """A table: in colour and fitted to its width on a terminal, else aligned text with nothing cut off."""
    cleaned = [[safe(cell) for cell in row] for row in rows]
    if interactive():
        _print_rich(columns, cleaned)
    else:
        _print_plain(columns, cleaned)


def _print_rich(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(Text(column.title), justify=column.align, no_wrap=True, overflow="ellipsis")
    for row in rows:
        cells = zip(columns, row, strict=True)
        table.add_row(*(Text(cell, style=column.style.get(cell, "")) for column, cell in cells))
    Console().print(table)


def _print_plain(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    titles = [column.title for column in columns]
    widths = [max(map(len, cells)) for cells in zip(titles, *rows, strict=True)]
    for row in [titles, *rows]:
        cells = zip(columns, row, widths, strict=True)
        print("  ".join(c.rjust(w) if col.align == "right" else c.ljust(w) for col, c, w in cells).rstrip())


def print_json(value: object) -> None:
    """A value as JSON text."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_ads(
    ads: Iterable[Ad],
    as_json: bool,
    long: bool,
    attributes: Sequence[str] | None,
    table: Callable[[Iterable[Ad]], None],
) -> None:
    """Ads as the first of the options that was given says: as JSON, whole, or only the `attributes`; without
    one as a `table`.
    """
    names = [name for text in attributes or () for name in text.replace(",", " ").split()]
    if as_json:
        print_json_ads(ads)
    elif long:
        print_long(ads)
    elif names:
        _print_attributes(ads, names)
    else:
        table(ads)


def print_json_ads(ads: Iterable[Ad]) -> None:
    """A JSON array with an object for every ad, as `condor_q -json` has it; printed as the ads come."""
    separator = "[\n"
    for ad in ads:
        print(
            separator + json.dumps({name: _plain(value) for name, value in ad.items()}, ensure_ascii=False),
            end="",
        )
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]")


def _plain(value: AdValue) -> str | int | float | bool | None:
    """Expressions are marked as HTCondor marks them in JSON."""
    return f"/Expr({value})/" if isinstance(value, Expression) else value


def print_long(ads: Iterable[Ad]) -> None:
    """Whole ads, an empty line after each, as `condor_q -long`."""
    clean = interactive()
    for ad in ads:
        text = ad.long()
        print("\n".join(map(safe, text.split("\n"))) if clean else text, end="\n\n")


def _print_attributes(ads: Iterable[Ad], names: Sequence[str]) -> None:
    """One line an ad with some of its attributes, as `condor_q -autoformat`."""
    for ad in ads:
        say(" ".join(_bare(ad.get(name)) for name in names))


def _bare(value: AdValue) -> str:
    return value if isinstance(value, str) else literal(value)


class Meter:
    """Shows how far a number of transfers have come, all together, as one bar on standard error."""

    def __init__(self, total: int, bar: Progress | None) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total) if bar else None

    def file(self, name: str) -> Callable[[int, int], None]:
        """The progress callback for the next file."""
        done_before = 0

        def report(done: int, total: int) -> None:
            nonlocal done_before
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, description=safe(name), advance=done - done_before)
            done_before = done

        return report


@contextmanager
def transfer_bar(total: int) -> Iterator[Meter]:
    """A progress bar for `total` bytes, if standard error is a terminal; it goes away when all is done."""
    if not sys.stderr.isatty() or not total:
        yield Meter(total, None)
        return
    with _byte_progress() as progress:
        yield Meter(total, progress)


@contextmanager
def job_bar(total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar for `total` jobs, or nobody knows how many, if standard error is a terminal: call it
    with how many are done.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("jobs", total=total)
        yield lambda done: progress.update(task, completed=done, description=f"{done:,} jobs")


def _byte_progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as Speed

    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), DownloadColumn(), Speed(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def duration(seconds: float) -> str:
    """Days and time, as the condor_* tools print it: 0+00:01:05; `???` for a number that is no such time,
    which any job's ad may have: its digits would push the table off the screen.
    """
    if not seconds < _LONGEST:
        return "???"
    whole = max(0, int(seconds))
    return f"{whole // 86400}+{whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}"
