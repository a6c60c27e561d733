"""Files of users, opened with care."""

import errno
import stat
from io import BufferedReader
from pathlib import Path

SAVED_MODEL = "model.json"
"""The saved model inside a project folder."""


def open_file(path: Path) -> BufferedReader:
    """``path`` open for reading, if it is a file and nothing else: reading a pipe or a device may never end.

    Raises:
        OSError: a pipe, a device or a socket; or as of :func:`open`.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "A pipe or a device, where a file is needed", str(path))
    return path.open("rb")
