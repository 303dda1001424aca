"""`python -m ragcun`."""

from ragcun.cli.main import main

if __name__ == "__main__":
    main()
