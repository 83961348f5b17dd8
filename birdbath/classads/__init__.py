"""ClassAds: parsed, printed, evaluated and matched by `classad2`, which no other package imports."""

from birdbath.classads.ads import Ad, Expression, Item, ad_from_items, attribute_from_item
from birdbath.classads.expressions import (
    Attribute,
    Constraint,
    Scalar,
    canonical_value,
    check_text,
    is_true,
    valid_name,
)
from birdbath.classads.records import AdList, AdMemory, AdRecord

__all__ = [
    "Ad",
    "AdList",
    "AdMemory",
    "AdRecord",
    "Attribute",
    "Constraint",
    "Expression",
    "Item",
    "Scalar",
    "ad_from_items",
    "attribute_from_item",
    "canonical_value",
    "check_text",
    "is_true",
    "valid_name",
]
