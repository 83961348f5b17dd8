"""What a program has said before its end: its standard output and error as they grow while it runs.

Only what can be told without reading other files, of programs that pause between what they say, and into
files that were not there before; the rest comes at the end of the run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from birdbath.pool.simulated.programs import FileRange, Piece, Process

MOST_MOMENTS = 1000
MOST_BYTES = 1 << 20
"""Each time its output grows, the files are made anew as they are by then, so that a kill leaves no half of
it: what a run costs would grow with the square of longer output.
"""


@dataclass(frozen=True)
class LiveOutput:
    """Files by name with all that comes into them; `moments` are seconds from the program's begin, with the
    length that each file (in the same order) has from then on.
    """

    files: Mapping[str, bytes]
    moments: Sequence[tuple[float, tuple[int, ...]]]

    def next_after(self, begun: float, now: float) -> float | None:
        """When the files grow next; None for not before the end."""
        index = self._index(begun, now)
        return begun + self.moments[index][0] if index < len(self.moments) else None

    def by(self, begun: float, now: float) -> dict[str, bytes]:
        """The files as they are by `now`; those that nothing was written to are left out."""
        index = self._index(begun, now)
        if index == 0:
            return {}
        sizes = self.moments[index - 1][1]
        return {
            name: data[:size] for (name, data), size in zip(self.files.items(), sizes, strict=True) if size
        }

    def _index(self, begun: float, now: float) -> int:
        return bisect_right(self.moments, now, key=lambda moment: begun + moment[0])


def live_output(process: Process, files: Mapping[str, Sequence[Piece]], duration: float) -> LiveOutput | None:
    """What comes to light of a process that takes `duration` in all; `files` are its standard output and, if
    that is another file, its standard error, with their pieces. None when all comes at the end.
    """
    if not files or not process.pauses:
        return None
    if any(isinstance(piece, FileRange) for pieces in files.values() for piece in pieces):
        return None
    whole = {name: b"".join(p for p in pieces if isinstance(p, bytes)) for name, pieces in files.items()}
    if sum(map(len, whole.values())) > MOST_BYTES:
        return None
    scale = duration / process.slept if process.slept else 1.0
    moments: list[tuple[float, tuple[int, ...]]] = []
    for at, counts in process.pauses[:MOST_MOMENTS]:
        sizes = tuple(
            sum(len(piece) for piece in pieces[:count] if isinstance(piece, bytes))
            for pieces, count in zip(files.values(), counts, strict=False)
        )
        if any(sizes) and (not moments or sizes != moments[-1][1]):
            moments.append((at * scale, sizes))
    return LiveOutput(whole, moments) if moments else None
