"""Tests of `birdbath.classads`."""
