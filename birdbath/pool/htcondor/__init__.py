"""The Pool contract on a real HTCondor pool, through its own Python bindings (see docs/htcondor.md)."""
