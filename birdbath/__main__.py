"""`python -m birdbath` is the `birdbath` command."""

from birdbath.cli import main

main()
