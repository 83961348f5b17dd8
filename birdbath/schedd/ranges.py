"""Received byte ranges of an upload: sorted, disjoint, half-open pairs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

Ranges = list[tuple[int, int]]


def add(ranges: Ranges, start: int, end: int) -> Ranges:
    """`ranges` with [start, end) received too; what touches is joined."""
    if start >= end:
        return ranges
    first = bisect_left(ranges, start, key=lambda r: r[1])
    last = bisect_right(ranges, end, key=lambda r: r[0])
    if first < last:
        start, end = min(start, ranges[first][0]), max(end, ranges[last - 1][1])
    return [*ranges[:first], (start, end), *ranges[last:]]


def covers(ranges: Ranges, size: int) -> bool:
    """Whether every byte of a file of `size` bytes has arrived."""
    return size <= 0 or any(start <= 0 and end >= size for start, end in ranges)
