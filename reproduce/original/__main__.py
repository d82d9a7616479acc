"""`python -m reproduce.original`."""

from reproduce.original.program import main

if __name__ == "__main__":
    main()
