"""`python -m birdbath` is the `birdbath` command."""

from birdbath.cli import main

if __name__ == "__main__":
    main()
