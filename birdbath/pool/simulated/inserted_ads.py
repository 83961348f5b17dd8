"""Daemon ads that clients inserted: stored, mirrored in memory, forgotten when their lifetime is over."""

from __future__ import annotations

import threading

from sqlalchemy import Engine, bindparam, delete, insert, select, update

from birdbath.classads import Ad, AdMemory, AdRecord
from birdbath.pool.base import AdKind
from birdbath.store.reader import Reader
from birdbath.store.tables import daemon_ads
from birdbath.store.unit_of_work import UnitOfWork

_d = daemon_ads.c
_CHANGED = select(_d.version, _d.kind, _d.key, _d.expires_at, _d.ad).where(_d.version > bindparam("seen"))
_CHANGED = _CHANGED.order_by(_d.version)
_EXPIRY = select(_d.expires_at).where(_d.kind == bindparam("kind_"), _d.key == bindparam("key_"))
_KEYS = select(_d.key).where(_d.kind == bindparam("kind_"), _d.expires_at > bindparam("now"))
_KEYS = _KEYS.order_by(_d.key)
_INSERT = insert(daemon_ads)
_REPLACE = update(daemon_ads).where(_d.kind == bindparam("kind_"), _d.key == bindparam("key_"))
_EXPIRE = _REPLACE.values(expires_at=0.0, version=bindparam("new_version"))
_FORGET = delete(daemon_ads).where(_d.expires_at < bindparam("before"))

GRACE = 3600.0
"""Seconds for which the row of an expired ad is kept, so that every process has seen it expire."""


class InsertedAds:
    """The `daemon_ads` table and its mirror. Expiry times are in the pool's time."""

    def __init__(self, engine: Engine, memory: AdMemory) -> None:
        self._reader = Reader(engine)
        self._memory = memory
        self._lock = threading.Lock()
        self._seen = 0
        self._records: dict[str, dict[str, tuple[float, AdRecord]]] = {}

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._reader.close()

    def records(self, kind: AdKind, now: float) -> dict[str, AdRecord]:
        """The unexpired ads of a kind by identity, the longest known first. Thread-safe."""
        with self._lock:
            self._refresh()
            known = self._records.get(kind.value, {})
            for key in [key for key, (expires_at, _) in known.items() if expires_at <= now]:
                known.pop(key)[1].forget()
            return {key: record for key, (_, record) in known.items()}

    def _refresh(self) -> None:
        for version, kind, key, expires_at, ad in self._reader.rows(_CHANGED, {"seen": self._seen}):
            known = self._records.setdefault(kind, {})
            if key in known:
                known[key][1].forget()
            known[key] = expires_at, AdRecord(ad, self._memory)
            self._seen = version

    def insert(self, unit: UnitOfWork, kind: AdKind, key: str, ad: Ad, expires_at: float, now: float) -> bool:
        """Insert or replace an ad; whether there was no unexpired one before."""
        row = unit.first(_EXPIRY, {"kind_": kind.value, "key_": key})
        values = {"version": unit.advance("version"), "expires_at": expires_at, "ad": ad.to_json()}
        if row is None:
            unit.execute(_INSERT, {"kind": kind.value, "key": key, **values})
        else:
            unit.execute(_REPLACE, {"kind_": kind.value, "key_": key, **values})
        return row is None or row[0] <= now

    def invalidate(self, unit: UnitOfWork, kind: AdKind, key: str | None, now: float) -> int:
        """Let the ad with this key, or all of the kind, expire at once; how many there were."""
        rows = unit.execute(_KEYS, {"kind_": kind.value, "now": now})
        keys = [row[0] for row in rows if key is None or row[0] == key]
        if not keys:
            return 0
        first = unit.advance("version", len(keys)) - len(keys) + 1
        unit.execute_many(
            _EXPIRE,
            [
                {"kind_": kind.value, "key_": key, "new_version": first + index}
                for index, key in enumerate(keys)
            ],
        )
        return len(keys)

    def forget_expired(self, unit: UnitOfWork, now: float) -> None:
        """Delete the rows of ads that expired a while ago."""
        unit.execute(_FORGET, {"before": now - GRACE})
