"""The attack corpus: what a hostile client sends as the body of a POST, and what has to come of it."""

from tests.attack.corpus import encodings, entities, envelopes, expressions, references, sizes, values
from tests.attack.corpus.cases import CASES, SECRET, Case, Place

__all__ = ["CASES", "SECRET", "Case", "Place"]

KINDS = (encodings, entities, envelopes, expressions, references, sizes, values)
"""Each of them adds its cases."""
