"""A disk that fails on order: compiles `sick_disk.c`, which a server preloads, and gives the orders."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.toolkit import require

WRITE, SYNC, MAKE, RENAME = 1, 2, 4, 8
_ORDERS = struct.Struct("6i")


def compile_library(folder: Path) -> Path:
    """The library to preload; the test is skipped by name without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    require("gcc", compiler is not None)
    library = folder / "sick_disk.so"
    source = Path(__file__).with_name("sick_disk.c")
    command = [
        str(compiler),
        "-std=gnu11",
        "-O1",
        "-Wall",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(source),
    ]
    subprocess.run([*command, "-ldl"], check=True)
    return library


@dataclass(frozen=True)
class Illness:
    """Calls of these kinds fail with `error`; with 0 only half of the bytes are written. `sticky` illness
    lasts until it is healed, other illness is one failure.
    """

    kinds: int
    error: int
    sticky: bool = False


class SickDisk:
    """The orders for one server, whose database and spool are below `home`."""

    def __init__(self, library: Path, home: Path) -> None:
        orders = home.with_suffix(".orders")
        orders.write_bytes(bytes(_ORDERS.size))
        with orders.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _ORDERS.size)
        self.environment = {
            "LD_PRELOAD": str(library),
            "SICK_HOME": str(home),
            "SICK_ORDERS": str(orders),
        }

    def fall_ill(self, illness: Illness, nth: int) -> None:
        """From now on, let the `nth` call of its kinds fail."""
        self._map[:] = _ORDERS.pack(illness.kinds, illness.error, illness.sticky, nth, 0, 0)

    def heal(self) -> None:
        """Let nothing fail any more."""
        kinds, error, sticky, _, seen, failed = self._read()
        self._map[:] = _ORDERS.pack(kinds, error, sticky, 0, seen, failed)

    @property
    def seen(self) -> int:
        """Calls of the kinds of the last illness since it began."""
        return self._read()[4]

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return self._read()[5]

    def _read(self) -> tuple[int, int, int, int, int, int]:
        return _ORDERS.unpack(self._map[:])
