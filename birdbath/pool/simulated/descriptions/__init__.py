"""Descriptions of pools that come with Birdbath."""
