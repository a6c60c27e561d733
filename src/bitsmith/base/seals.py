"""Seals on what this user has made here, with a key that does not travel with the files.

A project folder may come from anywhere, with a manifest and libraries that fit each other. A seal is a digest that only the
owner of the key can make, so that a folder cannot vouch for itself. The key lies in the user's cache folder. Where it cannot be
kept, what earlier processes made counts as not sealed.
"""

import contextlib
import functools
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import platformdirs

_KEY_BYTES = 32


def seal(purpose: str, content: bytes) -> str:
    """The seal on ``content``; one for another ``purpose`` differs."""
    key = _key(Path(platformdirs.user_cache_dir("bitsmith", appauthor=False)) / "key")
    return hmac.new(key, f"{purpose}\0".encode() + content, hashlib.sha256).hexdigest()


def holds(stamp: str, purpose: str, content: bytes) -> bool:
    """Return True if ``stamp`` is the seal on ``content``."""
    return hmac.compare_digest(stamp.encode(errors="replace"), seal(purpose, content).encode())


@functools.cache
def _key(path: Path) -> bytes:
    """The user's key, made when it is first needed; one of this process alone where it cannot be kept."""
    new = secrets.token_bytes(_KEY_BYTES)
    with contextlib.suppress(OSError):
        if not path.exists():
            _create(path, new)
        found = path.read_bytes()
        if len(found) == _KEY_BYTES:
            return found
    return new


def _create(path: Path, key: bytes) -> None:
    """Write the key where only its owner can read it; the first of several processes that do so wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".key.{os.getpid()}.tmp")
    try:
        scratch.touch(0o600, exist_ok=False)
        scratch.write_bytes(key)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(scratch)
    finally:
        scratch.unlink()
