"""``python -m bitsmith``: the command line."""

from bitsmith.cli.commands import main

if __name__ == "__main__":
    main()
