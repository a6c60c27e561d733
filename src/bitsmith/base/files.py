"""Files of users, opened with care."""

import errno
import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from urllib.parse import unquote, urlsplit

SAVED_MODEL = "model.json"
"""The saved model inside a project folder."""


def local_path(path: str | os.PathLike[str]) -> Path:
    """The path that a user means, who may write ``~`` for the home folder or a ``file://`` URL."""
    text = os.fspath(path)
    if text.startswith("file:/"):
        text = unquote(urlsplit(text).path)
    with suppress(RuntimeError):  # there is no such user
        return Path(text).expanduser()
    return Path(text)


def open_file(path: Path) -> BufferedReader:
    """``path`` open for reading, if it is a file and nothing else: reading a pipe or a device may never end.

    Raises:
        OSError: a pipe, a device or a socket; or as of :func:`open`.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "A pipe or a device, where a file is needed", str(path))
    return path.open("rb")
