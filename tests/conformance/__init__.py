"""The contract, operation by operation and condition by condition, asked over SOAP.

Each test names the section of the protocol reference whose row it checks. The suite knows nothing of the
server but bytes: another pool is tested by adding it to `conftest.POOLS`.
"""
