"""The simulated pool: machines, matchmaking and job lifecycles in one process, on a clock one may control."""

from birdbath.pool.simulated.clock import Clock, ManualClock, RealClock
from birdbath.pool.simulated.description import MachineDescription, PoolDescription, PoolIdentity
from birdbath.pool.simulated.pool import SimulatedPool

__all__ = [
    "Clock",
    "MachineDescription",
    "ManualClock",
    "PoolDescription",
    "PoolIdentity",
    "RealClock",
    "SimulatedPool",
]
