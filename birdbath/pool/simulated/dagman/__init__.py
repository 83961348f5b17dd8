"""DAGMan in the pool: the program of a scheduler-universe job whose Cmd is condor_dagman.

`program` is what the pool calls; `nodes` makes the jobs of a node; `outputs` writes DAGMan's files; `memory`
is what it remembers. All decisions are those of `birdbath.dagman.Engine`.
"""

from birdbath.pool.simulated.dagman.program import dagman_programs, is_dagman

__all__ = ["dagman_programs", "is_dagman"]
