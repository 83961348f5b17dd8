"""Events over AMQP 0-9-1: a durable topic exchange, confirmed publishing, consumers and requests."""

EXCHANGE = "condor.events"
"""The durable topic exchange to which events are published."""

REQUESTS = "condor.requests"
"""The durable queue that takes requests for a job's events or ad."""
