"""Makes Spyne 2.14.0 importable on Python 3.12 and 3.13, and keeps its garbage collection out of the request
path.

Import this module before anything from `spyne`. Why: Spyne's bundled `six` offers its moved modules by an
importer without `find_spec`, which Python 3.12 no longer accepts and which trips tools that ask every
importer for it on any version; ours takes its place. Spyne imports `cgi` for `parse_header`, and Python 3.13
has no `cgi`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from email.message import Message
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

SIX_MOVES = "spyne.util.six.moves"


class SixMovesFinder(MetaPathFinder, Loader):
    """Finds the modules below `spyne.util.six.moves` by asking six's own importer for them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not f"{fullname}.".startswith(f"{SIX_MOVES}."):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module: ModuleType = sys.modules["spyne.util.six"]._importer.load_module(spec.name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do: six's importer gave a finished module."""


def parse_header(line: str) -> tuple[str, dict[str, str]]:
    """What `cgi.parse_header` did: the main value of a header and its parameters by lower-case name."""
    message = Message()
    message["content-type"] = line
    main, *parameters = message.get_params(failobj=[("", "")])
    return main[0], {name.lower(): value for name, value in parameters}


def install(version: tuple[int, int] = sys.version_info[:2]) -> None:
    """Put in place what Spyne needs to be imported on Python `version`; asking twice changes nothing."""
    if not any(isinstance(finder, SixMovesFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, SixMovesFinder())
    if version >= (3, 13) and "cgi" not in sys.modules:
        cgi = ModuleType("cgi", "The one function of the former module that Spyne uses.")
        cgi.parse_header = parse_header  # type: ignore[attr-defined]
        sys.modules["cgi"] = cgi


install()

from spyne import const  # noqa: E402  (only importable after install())
from spyne.util import six  # noqa: E402

sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not six._importer]

# Spyne collects garbage once a second while a request waits: 86 ms with many objects alive.
const.MIN_GC_INTERVAL = float("inf")
