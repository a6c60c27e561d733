"""``python -m bitsmith``, and the command ``bitsmith``: the command line."""

import sys


def main() -> None:
    """The entry point, which imports all else: who interrupts that sees no traceback, either."""
    try:
        from bitsmith.cli.commands import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
