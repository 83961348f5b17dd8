"""Tests of `birdbath.store`."""
