"""Unit tests of `birdbath.collector`, on a real store with a fake directory of ads."""
