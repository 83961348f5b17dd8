"""Who may do what: the levels, the table of all operations and routes, and who has which level."""

from birdbath.access.caller import EVERY_LEVEL, Caller, Level
from birdbath.access.policy import (
    EVENT_OPERATIONS,
    FEDERATION_OPERATIONS,
    OPERATIONS,
    QUERY_OPERATIONS,
    ROUTES,
    OperationInfo,
    Ownership,
    Policy,
    Unit,
    check,
    operation_info,
)
from birdbath.access.queue_rights import QueueRights
from birdbath.access.rules import AccessRules, Everybody, InvalidRule

__all__ = [
    "EVENT_OPERATIONS",
    "EVERY_LEVEL",
    "FEDERATION_OPERATIONS",
    "OPERATIONS",
    "QUERY_OPERATIONS",
    "ROUTES",
    "AccessRules",
    "Caller",
    "Everybody",
    "InvalidRule",
    "Level",
    "OperationInfo",
    "Ownership",
    "Policy",
    "QueueRights",
    "Unit",
    "check",
    "operation_info",
]
