"""The table of resources at the end of a run's event (event reference section 2, "Resource table")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from birdbath.classads import Ad

_UNITS = {"Disk": "Disk (KB)", "Memory": "Memory (MB)"}
_WIDTHS = {"Usage": 8, "Request": 8, "Allocated": 9}


def resource_table(ad: Ad) -> Iterator[str]:
    """The table of what the job used, asked for and got; columns are aligned at the decimal point."""
    rows = {name: _resource_row(ad, name) for name in _resource_names(ad)}
    if not rows:
        return
    columns = [
        _aligned(column, least)
        for column, least in zip(zip(*rows.values(), strict=True), _WIDTHS.values(), strict=True)
    ]
    heads = [head.rjust(len(column[0])) for head, column in zip(_WIDTHS, columns, strict=True)]
    assigned = {name: ad.string(f"Assigned{name}") for name in rows}
    yield f"\tPartitionable Resources : {' '.join(heads)} {'Assigned' if any(assigned.values()) else ''}"
    for name, cells in zip(rows, zip(*columns, strict=True), strict=True):
        last = f'"{assigned[name]}"' if assigned[name] else ""
        yield f"\t   {_unit(name):<20} : {' '.join(cells)} {last}"


def _resource_names(ad: Ad) -> list[str]:
    names = {a[0].removeprefix("Request") for a in ad if a[0].startswith("Request")}
    names |= {a[0].removesuffix("Usage") for a in ad if a[0].startswith("Time") and a[0].endswith("Usage")}
    return sorted(names)


def _resource_row(ad: Ad, name: str) -> tuple[str, str, str]:
    return _figure(ad, f"{name}Usage"), _figure(ad, f"Request{name}"), _figure(ad, name)


def _figure(ad: Ad, name: str) -> str:
    value = ad.get(name)
    if isinstance(value, float):
        return f"{value:.2f}"
    return str(value) if isinstance(value, int) else ""


def _aligned(column: tuple[str, ...], least: int) -> list[str]:
    decimals = 3 if any("." in cell for cell in column) else 0
    cells = [cell if "." in cell or not decimals else cell + " " * decimals for cell in column]
    width = max(least, *map(len, cells))
    return [cell.rjust(width) for cell in cells]


def _unit(name: str) -> str:
    return f"{name} (s)" if name.startswith("Time") else _UNITS.get(name, name)


def read_table(lines: Sequence[str]) -> dict[str, int | float | str]:
    """The attributes in a table among the lines of an event; none when there is no table."""
    found: dict[str, int | float | str] = {}
    start = next((n for n, line in enumerate(lines) if line.startswith("\tPartitionable Resources :")), None)
    if start is None:
        return found
    ends = [lines[start].index(head) + len(head) for head in _WIDTHS]
    for line in lines[start + 1 :]:
        if not line.startswith("\t   ") or " : " not in line:
            break
        name = line[:24].split("(")[0].strip()
        begins = [line.index(" : ") + 3, *ends]
        cells = [line[a:b].strip() for a, b in zip(begins, ends, strict=False)]
        for attribute, cell in zip((f"{name}Usage", f"Request{name}", name), cells, strict=True):
            if cell:
                found[attribute] = float(cell) if "." in cell else int(cell)
        if assigned := line[ends[-1] :].strip().strip('"'):
            found[f"Assigned{name}"] = assigned
    return found
