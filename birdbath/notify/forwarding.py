"""The forwarder: an existing schedd's event log, published as if it were Birdbath's own.

Each event has an id that follows from the log's identity and its place in it: forwarded again, it is the
same.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import pwd
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import orjson

from birdbath.classads import Ad
from birdbath.events import EventRecord
from birdbath.events.logs import UnreadableLog, read_events
from birdbath.events.reading import derived_id, event_time, record
from birdbath.notify.log_files import LogFile, LoggedBytes, Place, say_passed_over
from birdbath.store.files import make_directory, sync_directory

_log = logging.getLogger(__name__)

BATCH = 1000
REMEMBERED = 100_000
"""Clusters whose owner, as the log told it, is kept in memory."""

Publish = Callable[[Sequence[EventRecord]], Awaitable[None]]
"""Returns when the events are safe; raises otherwise."""


class PlaceFile:
    """Where the place in one log is kept over restarts: replaced as a whole, and on disk when `save` returns.

    One file per log, in `folder`, named after the log's path.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        make_directory(folder)
        name = hashlib.sha256(os.fsencode(log.absolute())).hexdigest()[:16]
        self.path = folder / f"{log.name}.{name}.json"
        self._log = log

    def load(self) -> Place:
        """The place that was saved last; the beginning when there is none."""
        try:
            value = orjson.loads(self.path.read_bytes())
            return Place(str(value["identity"]), int(value["offset"]), int(value["events"]))
        except FileNotFoundError:
            return Place()
        except (ValueError, KeyError, TypeError):
            _log.warning("%s cannot be read; beginning anew", self.path)
            return Place()

    def save(self, place: Place) -> None:
        """Keep `place`. Raises OSError, which names the file."""
        value = {"log": str(self._log), **vars(place)}
        temporary = self.path.with_suffix(".new")
        try:
            with temporary.open("wb") as file:
                file.write(orjson.dumps(value))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            error.filename = str(self.path)
            raise


class LogEvents:
    """The events of one log, as records, from where a former run came to."""

    def __init__(self, path: Path, places: PlaceFile, owner: str | None = None) -> None:
        self.path = path
        self._file = LogFile(path, places.load())
        self._places = places
        self._owner = owner
        self._owners: dict[int, str] = {}

    def read(self) -> list[EventRecord]:
        """The next events, none when there are none yet; a record that is no event is logged and passed over.

        Raises OSError, and UnreadableLog for a file that is no event log.
        """
        while found := self._file.read(BATCH):
            events: list[EventRecord] = []
            ads = read_events([one.data for one in found], found[0].form)
            for one, ad in zip(found, ads, strict=True):
                if isinstance(ad, UnreadableLog):
                    say_passed_over(self.path, one, ad)
                else:
                    events.append(self._record(one, ad))
            if events:
                return events
        return []

    def is_there(self) -> bool:
        """Whether there is any file of the log."""
        return self._file.is_there()

    def save(self) -> None:
        """All that was read is safe: do not read it again."""
        self._places.save(self._file.place)

    def close(self) -> None:
        """Close the log."""
        self._file.close()

    def _record(self, found: LoggedBytes, ad: Ad) -> EventRecord:
        cluster = ad.integer("Cluster", -1)
        if owner := ad.string("Owner"):  # in a job ad information event
            self._owners[cluster] = owner
            if len(self._owners) > REMEMBERED:
                del self._owners[next(iter(self._owners))]
        return record(
            ad,
            time=event_time(ad),
            sequence=found.after.events,
            id=derived_id(found.after.identity, found.start),
            owner=self._owner or self._owners.get(cluster) or self._account(),
        )

    def _account(self) -> str:
        """Whose file it is: a job's own log belongs to the job's owner."""
        try:
            return pwd.getpwuid(self._file.path.stat().st_uid).pw_name
        except (OSError, KeyError):
            return ""


async def forward(log: LogEvents, publish: Publish, interval: float, once: bool = False) -> int:
    """Publish what the log has, then, unless `once`, what it gets, looking every `interval` seconds.

    The place is saved after `publish` returned: what it raised for is read again after a restart. Returns how
    many events that were. A log that is not there or cannot be read is looked at again, and the trouble said
    when it begins; with `once` it raises OSError or UnreadableLog. Where the place cannot be saved, it is
    tried again before more is published.
    """
    count, trouble = 0, ""
    while True:
        events: list[EventRecord] = []
        try:
            events = await asyncio.to_thread(log.read)
            if not events and not log.is_there():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(log.path))
            trouble = ""
        except (OSError, UnreadableLog) as error:
            if once:
                raise
            if trouble != str(error):
                trouble = str(error)
                _log.error("%s; looking again", error)
        if events:
            await publish(events)
            count += len(events)
            await _save(log, interval, once)
        elif once:
            return count
        else:
            await asyncio.sleep(interval)


async def _save(log: LogEvents, interval: float, once: bool) -> None:
    trouble = ""
    while True:
        try:
            await asyncio.to_thread(log.save)
            return
        except OSError as error:
            if once:
                raise
            if trouble != str(error):
                trouble = str(error)
                _log.error("%s; what %s has is forwarded when it can be written", error, log.path)
            await asyncio.sleep(interval)
