"""How much is measured: all of it, or as little as shows that it can be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Numbers of calls, ads, jobs and bytes, and how often a measurement is repeated for its median."""

    calls: int
    repeats: int
    ads: tuple[int, ...]
    stock_ads: tuple[int, ...]
    queried: tuple[int, ...]
    grown: tuple[int, int]
    submissions: int
    transfer: int
    simulated_day: int
    simulated_jobs: tuple[int, int]


FULL = Scale(
    calls=8000,
    repeats=5,
    ads=(1_000, 10_000),
    stock_ads=(1_000, 10_000),
    queried=(10_000, 100_000),
    grown=(1_000, 100_000),
    submissions=400,
    transfer=64 << 20,
    simulated_day=50_000,
    simulated_jobs=(10_000, 1_000_000),
)
QUICK = Scale(
    calls=300,
    repeats=1,
    ads=(100,),
    stock_ads=(100,),
    queried=(1_000,),
    grown=(100, 1_000),
    submissions=20,
    transfer=2 << 20,
    simulated_day=100,
    simulated_jobs=(100, 200),
)
