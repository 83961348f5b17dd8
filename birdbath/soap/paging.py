"""Listings in pages: a place to go on from that holds while ads come and go, and only what is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from birdbath.classads import Ad, AdList, AdRecord
from birdbath.errors import RequestFault
from birdbath.pool.base import JobId, Part
from birdbath.soap.writing import render

MOST_ADS: Final = 1000
PAGE_BYTES: Final = 4 << 20
"""A page ends with the ad that brings it there."""
MOST_NAMES: Final = 1000
_JOB: Final = re.compile(r"([0-9]{1,10})\.([0-9]{1,10})")


@dataclass(frozen=True)
class AdPage:
    """Some ads of a listing, and the `after` of the next page; None after the last."""

    ads: AdList
    next: str | None


def job_place(after: str | None) -> JobId:
    """The job after which a page begins, by its text such as 12.3; one before all others without it."""
    if not after:
        return JobId(-1, -1)
    found = _JOB.fullmatch(after)
    if found is None:
        raise RequestFault(f"after is a job, such as 12.3, not {after[:40]!r}")
    return JobId(int(found[1]), int(found[2]))


def page_size(most: int) -> int:
    """How many ads a page may have for a client that wants `most`."""
    return min(most, MOST_ADS) if most > 0 else MOST_ADS


def job_part(after: str | None, most: int, names: Sequence[str]) -> Part:
    """What a page of jobs is made of."""
    return Part(job_place(after), page_size(most), names)


def job_page(ads: AdList, after: str | None, most: int, names: Sequence[str]) -> AdPage:
    """A page of jobs in the order of their ids, those after job `after`, such as 12.3.

    A job that leaves the queue between two pages moves no other: each that stays is seen once.
    """
    place = job_place(after)
    records = sorted((record for record in ads.records if record.key > place), key=lambda record: record.key)
    return _page(ads, records, most, names, _id)


def history_page(
    history: Callable[[JobId | None, int], AdList], after: str | None, most: int, names: Sequence[str]
) -> AdPage:
    """A page of jobs that have left the queue, the last that left first, those that left before job `after`.

    `history` answers at most so many of them, in that order.
    """
    ads = history(job_place(after) if after else None, page_size(most) + 1)
    return _page(ads, ads.records, most, names, _id)


def _id(record: AdRecord) -> str:
    return "{}.{}".format(*record.key)


def daemon_page(ads: AdList, after: str | None, most: int, names: Sequence[str]) -> AdPage:
    """A page of daemon ads in the order of MyType and Name, those after the place `after`."""
    placed = sorted(((_place(record), record) for record in ads.records), key=lambda pair: pair[0])
    places = {id(record): place for place, record in placed}
    records = [record for place, record in placed if place > (after or "")]
    return _page(ads, records, most, names, lambda record: places[id(record)])


def _place(record: AdRecord) -> str:
    found = {"mytype": "", "name": ""}
    for name, kind, text in orjson.loads(record.source):
        if kind == "s" and name.lower() in found:
            found[name.lower()] = text
    return f"{found['mytype']} {found['name']}"


def _page(
    ads: AdList,
    records: Sequence[AdRecord],
    most: int,
    names: Sequence[str],
    place: Callable[[AdRecord], str],
) -> AdPage:
    if len(names) > MOST_NAMES:
        raise RequestFault(f"A projection has at most {MOST_NAMES} attributes")
    wanted = {name.lower() for name in names} | {"mytype", "targettype"} if names else None
    shown: list[AdRecord] = []
    left, most = PAGE_BYTES, page_size(most)
    for index, record in enumerate(records):
        # Ads of the same place stay together: the next page begins after all of them.
        full = len(shown) >= most or left <= 0
        if full and place(record) != place(records[index - 1]):
            return AdPage(replace(ads, records=shown, most_bytes=0), place(records[index - 1]))
        shown.append(record if wanted is None else _projected(record, wanted))
        left -= len(render(shown[-1]))
    return AdPage(replace(ads, records=shown, most_bytes=0), None)


def _projected(record: AdRecord, wanted: set[str]) -> AdRecord:
    return AdRecord.of(Ad(attribute for attribute in record.ad() if attribute[0].lower() in wanted))
