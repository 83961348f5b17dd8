"""Pools: what runs the jobs. `base` is the contract; a simulated pool and real ones implement it."""
