"""The project's tests, whose helpers benchmarks use: scripts find them without the project's folder on Python's path."""

from pathlib import Path

__path__ = [str(Path(__file__).parents[2] / "tests")]
