"""The command line of condor_dagman, as condor_submit_dag of every age writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from birdbath.dagman.errors import DagError
from birdbath.dagman.states import Throttles

PROGRAM = "condor_dagman"
_WITHOUT_VALUE = frozenset(
    {"f", "t", "waitfordebug", "usedagdir", "noeventchecks", "allowlogerror", "allowversionmismatch"}
    | {"verbose", "force", "update_submit", "import_env", "suppress_notification", "dryrun", "dorecov"}
    | {"dont_suppress_notification", "dontalwaysrunpost", "alwaysrunpost", "dont_use_default_node_log"}
)
_WITH_VALUE = frozenset(
    {"l", "p", "a", "debug", "lockfile", "condorlog", "storklog", "maxpre", "maxpost", "maxhold"}
    | {"notification", "dagman", "outfile_dir", "csdversion", "include_env", "insert_env"}
)
_MAX_JOBS, _MAX_IDLE = "DAGMAN_MAX_JOBS_SUBMITTED", "DAGMAN_MAX_JOBS_IDLE"


@dataclass(frozen=True)
class Options:
    """What DAGMan is told when it starts.

    `old_rescue` is the name under which the DAGMan of the 2000s was to write a whole rescue DAG. A throttle
    of None leaves it to the DAG's CONFIG.
    """

    files: tuple[str, ...] = ()
    max_jobs: int | None = None
    max_idle: int | None = None
    priority: int = 0
    auto_rescue: bool = True
    rescue_from: int = 0
    old_rescue: str | None = None

    def throttles(self, config: Mapping[str, str]) -> Throttles:
        """The bounds, from here or else from the DAG's CONFIG. Raises DagError."""
        default = Throttles()
        return Throttles(
            _setting(config, _MAX_JOBS, default.max_jobs) if self.max_jobs is None else self.max_jobs,
            _setting(config, _MAX_IDLE, default.max_idle) if self.max_idle is None else self.max_idle,
        )


def parse_options(words: Sequence[str]) -> Options:
    """The options in the arguments of condor_dagman; upper and lower case are the same. Raises DagError."""
    options = Options()
    rest = iter(words)
    for word in rest:
        name = word.lstrip("-").lower()
        if not word.startswith("-"):
            options = replace(options, files=(*options.files, word))
        elif name in _READERS:
            options = _READERS[name](options, _following(rest, word))
        elif name in _WITH_VALUE:
            _following(rest, word)
        elif name == "dumprescue":
            raise DagError(f"{PROGRAM}: {word} is not supported; the DAG would not run")
        elif name not in _WITHOUT_VALUE:
            raise DagError(f"{PROGRAM}: unknown option {word}")
    if not options.files:
        raise DagError(f"{PROGRAM}: no DAG file is named; -Dag does that")
    return options


def _following(rest: Iterator[str], word: str) -> str:
    value = next(rest, None)
    if value is None:
        raise DagError(f"{PROGRAM}: {word} needs a value")
    return value


def _number(text: str, what: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise DagError(f"{PROGRAM}: {what} is not a whole number: {text}") from None


def _setting(config: Mapping[str, str], name: str, default: int) -> int:
    return _number(config[name], name) if name in config else default


_READERS: dict[str, Callable[[Options, str], Options]] = {
    "dag": lambda options, value: replace(options, files=(*options.files, value)),
    "maxjobs": lambda options, value: replace(options, max_jobs=_number(value, "-MaxJobs")),
    "maxidle": lambda options, value: replace(options, max_idle=_number(value, "-MaxIdle")),
    "priority": lambda options, value: replace(options, priority=_number(value, "-Priority")),
    "autorescue": lambda options, value: replace(options, auto_rescue=_number(value, "-AutoRescue") != 0),
    "dorescuefrom": lambda options, value: replace(options, rescue_from=_number(value, "-DoRescueFrom")),
    "rescue": lambda options, value: replace(options, old_rescue=value),
}
