"""The tests of Birdbath: `scripts/test` runs them all."""
