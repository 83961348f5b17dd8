"""Tests of `birdbath.events`."""
