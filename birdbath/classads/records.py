"""Ads as they are answered: immutable versions with their parsed and rendered forms kept within a memory
bound.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from birdbath.classads.ads import Ad
from birdbath.classads.costs import Costs
from birdbath.classads.elements import Written
from birdbath.classads.expressions import Attribute, CompiledAd, compile_ad

_TIME_LITERALS = ('absTime("', 'relTime("')
_CONTROL_ESCAPE = re.compile(r"\\[ubf]").search


class AdMemory:
    """Bounds the bytes that parsed and rendered forms of ads may take together; the oldest are dropped first.

    Whatever is dropped is made again when it is next asked for: nothing here is the only copy.
    Thread-safe. Records are not kept alive: what a record held is given back when nobody refers to it any
    more.
    """

    def __init__(self, limit: int = 1 << 30) -> None:
        self.limit = limit
        self.lock = threading.RLock()
        self._used = 0
        self._holders: dict[weakref.ref[AdRecord], int] = {}
        # Records die in any thread, inside anything; a deque takes the news without a lock.
        self._dead: deque[weakref.ref[AdRecord]] = deque()

    @property
    def used(self) -> int:
        """The bytes held now."""
        with self.lock:
            self._bury()
            return self._used

    def charge(self, record: AdRecord, size: int) -> None:
        """Account `size` more bytes to `record`, dropping the forms of the oldest records past the limit.

        What does not fit even alone is dropped at once.
        """
        with self.lock:
            self._bury()
            held = self._holders.pop(weakref.ref(record), 0)
            self._holders[weakref.ref(record, self._dead.append)] = held + size
            self._used += size
            while self._used > self.limit:
                oldest = next(iter(self._holders))
                holder = oldest()
                if holder is None:
                    self._used -= self._holders.pop(oldest)
                else:
                    holder.forget()

    def release(self, record: AdRecord) -> None:
        """Account nothing to `record` any more."""
        with self.lock:
            self._used -= self._holders.pop(weakref.ref(record), 0)

    def _bury(self) -> None:
        while self._dead:
            self._used -= self._holders.pop(self._dead.popleft(), 0)


class Columns(NamedTuple):
    """The attributes of an ad in order: names, kinds and texts.

    `plain` says that all the characters of the texts are ASCII, and none a control character but tab, LF and
    CR; when it is false they may be so all the same.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    texts: tuple[str, ...]
    plain: bool


class AdRecord:
    """One version of one ad.

    `source` is the ad's stored JSON text. Readers may share a record between threads: its forms may be
    made twice, but never wrongly, and are accounted once.
    """

    __slots__ = (
        "__weakref__",
        "_memory",
        "_parsed",
        "_tells_time",
        "key",
        "light",
        "rendering",
        "source",
        "steady",
    )

    def __init__(self, source: str, memory: AdMemory, key: tuple[int, int] = (0, 0)) -> None:
        self.source = source
        self.key = key
        self.rendering: bytes | None = None
        self._parsed: CompiledAd | None = None
        self._tells_time = False
        self.light = False
        # What `scope` gives when the time makes no difference, the ad is light and it is at hand: asking
        # for it as an attribute takes a tenth of the time that a query spends on an ad.
        self.steady: CompiledAd | None = None
        self._memory = memory

    @classmethod
    def of(cls, ad: Ad, memory: AdMemory | None = None) -> AdRecord:
        """A record of an ad that is not stored anywhere, such as a template."""
        return cls(ad.to_json(), memory or AdMemory())

    def ad(self) -> Ad:
        """A mutable copy of the whole ad, private attributes included."""
        return Ad.from_json(self.source)

    def columns(self) -> Columns:
        """All attributes but those whose value is a literal time, which no client is shown (reference section
        5.1).
        """
        source = self.source
        stored: list[Attribute] = orjson.loads(source)
        if "Time(" in source:
            stored = [
                attribute for attribute in stored if attribute[1] != "x" or not _is_time_literal(attribute[2])
            ]
        names, kinds, texts = zip(*stored, strict=True) if stored else ((), (), ())
        return Columns(names, kinds, texts, source.isascii() and not _CONTROL_ESCAPE(source))

    @property
    def parsed(self) -> CompiledAd:
        """The parsed form; private attributes can be evaluated but not shown. For evaluation see `scope`."""
        parsed = self._parsed
        return self._parse() if parsed is None else parsed

    def scope(self, now: float) -> CompiledAd:
        """The parsed form to evaluate something in at `now`, which ServerTime means in all of its
        expressions.
        """
        parsed = self._parsed
        if parsed is None:
            parsed = self._parse()
        if self._tells_time:
            parsed["ServerTime"] = parsed["CurrentTime"] = int(now)
        return parsed

    def costs(self) -> Costs:
        """What evaluating its attributes costs."""
        return Costs(orjson.loads(self.source))

    def _parse(self) -> CompiledAd:
        attributes: list[Attribute] = orjson.loads(self.source)
        costs = Costs(attributes)
        parsed = compile_ad(attributes, costs)
        with self._memory.lock:
            self._tells_time = any(_tells_time(a) for a in attributes)
            if self._parsed is None:
                self._parsed = parsed
                self.light = costs.light
                self.steady = parsed if self.light and not self._tells_time else None
                self._memory.charge(self, _parsed_size(attributes, len(self.source)))
        return parsed

    def keep_rendering(self, data: bytes) -> None:
        """Keep a rendered form of the ad for later replies, as long as memory allows."""
        with self._memory.lock:
            if self.rendering is None:
                self.rendering = data
                self._memory.charge(self, len(data))

    def forget(self) -> None:
        """Drop the forms; they are made again when needed."""
        with self._memory.lock:
            self.rendering = None
            self._parsed = self.steady = None
            self._memory.release(self)


def _is_time_literal(text: str) -> bool:
    return text.startswith(_TIME_LITERALS) and text.find('"', len(_TIME_LITERALS[0])) == len(text) - 2


def _tells_time(attribute: Attribute) -> bool:
    return (
        attribute[1] == "x"
        and "time" in (text := attribute[2].lower())
        and ("servertime" in text or "currenttime" in text)
    )


def _parsed_size(attributes: list[Attribute], length: int) -> int:
    """About what the parsed form takes: measured 100 bytes an attribute, a byte a character, and the
    nodes of trees.
    """
    return 500 + 100 * len(attributes) + length + 12 * sum(len(a[2]) for a in attributes if a[1] == "x")


@dataclass(frozen=True)
class AdList:
    """Ads to be answered together; `server_time` is the ServerTime of each, in seconds since the epoch.

    `most_bytes` is how long the answer may be; 0: any length. `missing` names what could not be asked, and
    why. Where there is `written`, that is the answer, and there are no records.
    """

    records: Sequence[AdRecord]
    server_time: int
    most_bytes: int = 0
    missing: tuple[str, ...] = ()
    written: Written | None = None
