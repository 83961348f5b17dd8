"""Reading a pool's description from a TOML file, or one of those that come with Birdbath."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from birdbath.classads.expressions import canonical_value
from birdbath.errors import BirdbathError, InvalidAd
from birdbath.pool.simulated.description import MachineDescription, PoolDescription

READY = ("laptop", "campus", "grid")
"""The names of the descriptions that come with Birdbath."""


class InvalidDescription(BirdbathError):
    """The file describes no pool; the text says where and why."""


_ADAPTER = TypeAdapter(PoolDescription)


def load_description(name: str) -> PoolDescription:
    """The description with that name, or in the file of that path. Raises InvalidDescription."""
    try:
        if name in READY:
            text = files("birdbath.pool.simulated.descriptions").joinpath(f"{name}.toml").read_text("utf-8")
        else:
            text = Path(name).expanduser().read_text("utf-8")
        return read_description(text)
    except OSError as error:
        ready = ", ".join(READY)
        raise InvalidDescription(f"{name}: {error.strerror} (ready descriptions: {ready})") from None
    except UnicodeDecodeError as error:
        raise InvalidDescription(f"{name}: {error}") from None
    except InvalidDescription as error:
        raise InvalidDescription(f"{name}: {error}") from None


def read_description(text: str) -> PoolDescription:
    """The description that a TOML text gives. Raises InvalidDescription with all that is wrong."""
    try:
        description = _ADAPTER.validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidDescription(str(error)) from None
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidDescription("; ".join(lines)) from None
    mistakes = list(_mistakes(description))
    if mistakes:
        raise InvalidDescription("; ".join(mistakes))
    return description


def _mistakes(description: PoolDescription) -> list[str]:
    found = [mistake for machine in description.machines for mistake in _machine_mistakes(machine)]
    pools = {"", *description.pools}
    found += [f"machines: there is no pool {m.pool!r}" for m in description.machines if m.pool not in pools]
    for schedd in description.schedds:
        unknown = [pool for pool in (schedd.pool, *schedd.flock_to) if pool not in pools]
        found += [f"schedds: there is no pool {pool!r}" for pool in unknown]
    names = [name for machine in description.machines for name in machine.names]
    if len(set(names)) < len(names):
        found.append("machines: two machines have the same name")
    if not description.pools:
        found.append("pools: there must be one")
    return found + _expression_mistakes("preemption_requirements", description.preemption_requirements)


def _machine_mistakes(machine: MachineDescription) -> list[str]:
    found = []
    if min(machine.slots, machine.cpus, machine.count, machine.memory, machine.disk) < 1 or machine.gpus < 0:
        found.append(f"machines.{machine.name}: a machine has at least one slot, core, MiB and KiB")
    if machine.partitionable and machine.slots > 1:
        found.append(f"machines.{machine.name}: a machine with a partitionable slot has no others")
    if not machine.partitionable and machine.cpus < machine.slots:
        found.append(f"machines.{machine.name}: each slot needs a core")
    if machine.count > 1 and machine.name.format(1) == machine.name:
        found.append(f"machines.{machine.name}: the name of several machines needs {{}} for the number")
    policies = {"start": machine.start, "rank": machine.rank, "preempt": machine.preempt}
    policies |= {"suspend": machine.suspend, "continue": machine.continue_}
    for name, text in {**policies, **machine.expressions}.items():
        found += _expression_mistakes(f"machines.{machine.name}.{name}", text)
    return found


def _expression_mistakes(where: str, text: str) -> list[str]:
    try:
        canonical_value(text)
    except InvalidAd as error:
        return [f"{where}: {error}"]
    return []
