"""The simulated pool: machines, matchmaking and job lifecycles in one process, on a clock one may control."""

from birdbath.pool.simulated.clock import Clock, ClockState, ManualClock, VirtualClock
from birdbath.pool.simulated.description import MachineDescription, PoolDescription, PoolIdentity
from birdbath.pool.simulated.pool import SimulatedPool

__all__ = [
    "Clock",
    "ClockState",
    "MachineDescription",
    "ManualClock",
    "PoolDescription",
    "PoolIdentity",
    "SimulatedPool",
    "VirtualClock",
]
