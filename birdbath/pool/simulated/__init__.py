"""The simulated pool: machines, matchmaking and job lifecycles in one process, on a clock one may control."""
