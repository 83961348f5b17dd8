"""What goes wrong with credentials: those that callers bring, and the files that they are judged by."""

from birdbath.errors import BirdbathError


class WrongCredential(Exception):
    """A credential that proves nothing; the text says why, and is for the audit only."""


class UnusableCredentials(BirdbathError):
    """A file of the credential table cannot be used; the text names it."""
