"""Unit tests of `birdbath.schedd`: its pure parts, and its services on a real store with a fake pool."""
