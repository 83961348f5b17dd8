"""The one error of a submit description."""

from __future__ import annotations

from birdbath.errors import BirdbathError


class DescriptionError(BirdbathError):
    """The submit description cannot be carried out; the text says which command, and why."""
