"""Who may do what: the levels, the table of all operations and routes, and who has which level."""

from birdbath.access.caller import EVERY_LEVEL, Caller, Level
from birdbath.access.policy import OPERATIONS, ROUTES, OperationInfo, Ownership, Policy, Unit, check
from birdbath.access.rules import AccessRules, Everybody, InvalidRule

__all__ = [
    "EVERY_LEVEL",
    "OPERATIONS",
    "ROUTES",
    "AccessRules",
    "Caller",
    "Everybody",
    "InvalidRule",
    "Level",
    "OperationInfo",
    "Ownership",
    "Policy",
    "Unit",
    "check",
]
