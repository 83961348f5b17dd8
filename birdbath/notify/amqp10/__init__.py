"""Events over AMQP 1.0, by Qpid Proton's engine: to a broker, or to any other peer without a broker.

Needs the optional extra `amqp1`. Everything here runs on the event loop: the engine turns bytes into events
and back, and does no I/O itself.
"""
