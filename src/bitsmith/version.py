"""The version of the package."""

import re

__version__ = "0.1.0"


def version_numbers() -> tuple[int, int, int]:
    """Major, minor and patch."""
    major, minor, patch = (int(number) for number in re.findall(r"\d+", __version__)[:3])
    return major, minor, patch
