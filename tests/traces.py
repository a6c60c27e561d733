"""Takes the stack traces out of stored PyTorch programs, which name folders of whoever made them: ``python -m tests.traces``."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
TRACE = "stack_trace"


def programs() -> Iterator[Path]:
    """All stored programs that are archives: damaged ones are there, too."""
    return (path for path in sorted(FOLDER.rglob("*.pt2")) if zipfile.is_zipfile(path))


def has_traces(path: Path) -> bool:
    """Return True if a member of an archive has traces."""
    with zipfile.ZipFile(path) as archive:
        return any(TRACE.encode() in archive.read(member) for member in archive.infolist())


def without_traces(path: Path) -> bytes:
    """The archive with its members of JSON rewritten."""
    rewritten = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(rewritten, "w") as target:
        for member in archive.infolist():
            content = archive.read(member)
            if TRACE.encode() in content:
                content = json.dumps(_plain(json.loads(content))).encode()
            target.writestr(zipfile.ZipInfo(member.filename, member.date_time), content, member.compress_type)
    return rewritten.getvalue()


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items() if key != TRACE}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


if __name__ == "__main__":
    for each in filter(has_traces, programs()):
        each.write_bytes(without_traces(each))
