"""ClassAds: parsed, printed, evaluated and matched by `classad2`, which no other package imports."""

from birdbath.classads.ads import HIDDEN, Ad, Item, ad_from_items, attribute_from_item
from birdbath.classads.constraints import Constraint
from birdbath.classads.costs import Costs, are_affordable
from birdbath.classads.expressions import (
    Attribute,
    CompiledAd,
    Scalar,
    canonical_value,
    evaluate,
    is_true,
    limit_expressions,
    matches,
    python_value,
    real_literal,
)
from birdbath.classads.limits import ExpressionLimits
from birdbath.classads.records import AdList, AdMemory, AdRecord, Columns
from birdbath.classads.syntax import check_text, valid_name
from birdbath.values import Expression

__all__ = [
    "HIDDEN",
    "Ad",
    "AdList",
    "AdMemory",
    "AdRecord",
    "Attribute",
    "Columns",
    "CompiledAd",
    "Constraint",
    "Costs",
    "Expression",
    "ExpressionLimits",
    "Item",
    "Scalar",
    "ad_from_items",
    "are_affordable",
    "attribute_from_item",
    "canonical_value",
    "check_text",
    "evaluate",
    "is_true",
    "limit_expressions",
    "matches",
    "python_value",
    "real_literal",
    "valid_name",
]
