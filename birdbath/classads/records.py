"""Ads as they are answered: immutable versions with their parsed and rendered forms kept within a memory bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import classad2
import orjson

from birdbath.classads.ads import PRIVATE, SPECIAL, Ad
from birdbath.classads.expressions import Attribute, compile_ad

PARSED_AD_BYTES = 12_000
"""What the parsed form of an ad of about 80 attributes takes (pool reference section 11: 11.4 kB)."""

_HIDDEN = PRIVATE | SPECIAL


class AdMemory:
    """Bounds the bytes that parsed and rendered forms of ads may take together; the oldest are dropped first.

    Whatever is dropped is made again when it is next asked for: nothing here is the only copy.
    """

    def __init__(self, limit: int = 1 << 30) -> None:
        self.limit = limit
        self.used = 0
        self._holders: dict[AdRecord, int] = {}

    def charge(self, record: AdRecord, size: int) -> None:
        """Account `size` more bytes to `record`, dropping the forms of the oldest records past the limit."""
        self._holders[record] = self._holders.get(record, 0) + size
        self.used += size
        while self.used > self.limit and len(self._holders) > 1:
            oldest = next(iter(self._holders))
            if oldest is record:
                self._holders[record] = self._holders.pop(record)
                continue
            oldest.forget()

    def release(self, record: AdRecord) -> None:
        """Account nothing to `record` any more."""
        self.used -= self._holders.pop(record, 0)


class AdRecord:
    """One version of one ad, as it may be shown: private attributes are left out, specials are apart.

    `source` is the ad's stored JSON text. Readers may share a record between threads: its forms are made at most
    twice, never wrongly.
    """

    __slots__ = ("__weakref__", "_memory", "_parsed", "key", "rendering", "source")

    def __init__(self, source: str | bytes, memory: AdMemory, key: tuple[int, int] = (0, 0)) -> None:
        self.source = source
        self.key = key
        self.rendering: bytes | None = None
        self._parsed: classad2.ClassAd | None = None
        self._memory = memory

    @classmethod
    def of(cls, ad: Ad, memory: AdMemory | None = None) -> AdRecord:
        """A record of an ad that is not stored anywhere, such as a template."""
        return cls(ad.to_json(), memory or AdMemory())

    def ad(self) -> Ad:
        """A mutable copy of the whole ad, private attributes included."""
        return Ad.from_json(self.source)

    @property
    def attributes(self) -> list[Attribute]:
        """What may be shown, in order, without MyType, TargetType, ServerTime, undefined and error literals."""
        return [a for a in orjson.loads(self.source) if a[1] not in "ue" and a[0].lower() not in _HIDDEN]

    @property
    def my_type(self) -> str:
        return self._special("mytype")

    @property
    def target_type(self) -> str:
        return self._special("targettype")

    def _special(self, name: str) -> str:
        return next((a[2] for a in orjson.loads(self.source) if a[0].lower() == name), "")

    @property
    def parsed(self) -> classad2.ClassAd:
        """The parsed form; private attributes can be evaluated but not shown."""
        parsed = self._parsed
        if parsed is None:
            parsed = self._parsed = compile_ad(orjson.loads(self.source))
            self._memory.charge(self, PARSED_AD_BYTES)
        return parsed

    def parsed_at(self, now: float) -> classad2.ClassAd:
        """The parsed form with ServerTime meaning `now`."""
        parsed = self.parsed
        parsed["ServerTime"] = int(now)
        return parsed

    def keep_rendering(self, data: bytes) -> None:
        """Keep a rendered form of `attributes` for later replies, as long as memory allows."""
        if self.rendering is None:
            self.rendering = data
            self._memory.charge(self, len(data))

    def forget(self) -> None:
        """Drop the forms; they are made again when needed."""
        self.rendering = None
        self._parsed = None
        self._memory.release(self)


@dataclass(frozen=True)
class AdList:
    """Ads to be answered together; `server_time` is the ServerTime of each, in seconds since the epoch."""

    records: Sequence[AdRecord]
    server_time: int


def forget_all(records: Iterable[AdRecord]) -> None:
    """Drop the forms of records that were superseded."""
    for record in records:
        record.forget()
