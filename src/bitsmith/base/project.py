"""A build directory: the only place that generated files are written to.

The file ``bitsmith.json`` (the manifest) marks a folder as ours and remembers which stages ended well, from what, and
with which result. It is believed only with the seal of this user on it: in a folder that comes from elsewhere, every stage runs
again. A project is locked while it is open. What a stage does is not known here.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import reprlib
import shutil
import tarfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from bitsmith.base import seals
from bitsmith.base.files import open_file
from bitsmith.base.licenses import licensed
from bitsmith.base.progress import warn
from bitsmith.errors import ProjectError, ProjectWarning
from bitsmith.errors.remedies import OPEN, given, remedy

if TYPE_CHECKING:
    from filelock import FileLock

MANIFEST = "bitsmith.json"
LOCK = "bitsmith.lock"
ARCHIVE = ".tar.gz"
OWNER = "bitsmith.pid"
"""The process that has the lock; a file of its own, because a locked file cannot be read everywhere."""
_FORMAT = 1
_SEAL = "seal"
_MOST_BYTES = 64 << 20
"""Most bytes of a manifest."""
_LONGEST = 100
"""Most characters of a name in a manifest."""
_STAMP = "at "
"""Begins the time that stands in place of a digest for a file whose content does not count."""

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A stage that ended well: the digest of all that it depends on, seconds it took, its log (a path inside the
    project, may be empty), its result, and the digests of the files that it left."""

    digest: str
    seconds: float
    log: str
    result: Json
    files: Mapping[str, str]


def project_name(text: str) -> str:
    """``text`` as an identifier of C++ and SystemVerilog: other characters become ``_``.

    Raises:
        ProjectError: nothing of it can be used.
    """
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text.strip())
    if not re.search(r"[A-Za-z0-9]", name):
        raise ProjectError(
            f"the project name {text!r} has no letter or digit",
            where="project_name",
            accepted="letters, digits and _, not starting with a digit",
        )
    return f"p_{name}" if name[0].isdigit() else name


def digest(*parts: str | bytes | Path) -> str:
    """One digest of texts, bytes and the content of files; the boundaries between parts count."""
    total = hashlib.sha256()
    for part in parts:
        match part:
            case str():
                kind, data = b"s", part.encode()
            case bytes():
                kind, data = b"b", part
            case Path():
                kind, data = b"f", part.read_bytes()
        total.update(kind + str(len(data)).encode() + b":")
        total.update(data)
    return total.hexdigest()


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Create or replace ``path`` with a content, or what a function puts into the file, wholly or not at all."""
    scratch = _scratch(path, str(os.getpid()))
    try:
        with scratch.open("wb") as file:
            file.write(content) if isinstance(content, bytes) else content(file)
        scratch.replace(path)
    except OSError as error:
        raise ProjectError(f"cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        with contextlib.suppress(OSError):  # moved, or of a name that cannot be
            scratch.unlink()


def _scratch(path: Path, process: str) -> Path:
    """The file that a process writes before it becomes ``path``."""
    return path.with_name(f".{path.name}.{process}.tmp")


class Project:
    """An open, locked build directory; a context manager that unlocks it.

    Made by `Project.open`. ``folder`` is absolute. After an error a new folder is removed if it has nothing.
    """

    def __init__(self, folder: Path, name: str, network: str, lock: FileLock, stages: dict[str, StageRecord]) -> None:
        self.folder = folder
        self.name = name
        self.network = network
        self._lock = lock
        self._stages = stages
        self._made: Sequence[Path] = ()

    @staticmethod
    def open(folder: str | Path, name: str, network: str = "") -> Project:
        """Create the folder if need be, lock it and read its manifest.

        ``network`` says in a few words which network it is for; what the folder has of another one is replaced with a warning.

        Raises:
            ProjectError: it holds files that are not ours, is in use by another process, or cannot be written.
        """
        folder = Path(folder).expanduser().absolute()
        name = project_name(name)
        try:
            new_folders = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            folder = folder.resolve()
            _refuse_foreign(folder)
            lock = _lock(folder)
            for unfinished in _unfinished(folder):
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise ProjectError(
                f"cannot be used as a project folder: {error.strerror}",
                where=str(folder),
                remedy=remedy("choose another folder: ", given(output_dir=OPEN)),
            ) from error
        try:
            before, old, stages = _read_manifest(folder / MANIFEST)
            if before not in ("", name):
                _warn_replaced(folder, f"the project {reprlib.repr(before)}", repr(name))
            elif network and old not in ("", network):
                _warn_replaced(folder, f"a network of {repr(old)[1:-1]}", f"one of {network}")
            project = Project(folder, name, network or old, lock, stages)
            project._write_manifest()
            project._made = new_folders
        except BaseException:
            lock.release()
            raise
        return project

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        marks = (MANIFEST, OWNER, LOCK)
        with contextlib.suppress(OSError):
            if error is not None and self._made and {path.name for path in self.folder.iterdir()} <= {*marks}:
                for name in marks:  # nothing came of a new folder
                    (self.folder / name).unlink(missing_ok=True)
                for folder in self._made:
                    folder.rmdir()
        self.close()

    def close(self) -> None:
        """Unlock; the lock file stays, since removing it would let two others in."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                (self.folder / OWNER).unlink()
            self._lock.release()

    @property
    def stages(self) -> Mapping[str, StageRecord]:
        """All stages that have ended well, in the order that they were recorded."""
        return dict(self._stages)

    def path(self, name: str) -> Path:
        """The absolute path of a file inside the project.

        Raises:
            ProjectError: ``name`` is absolute or leads out of the folder, also through a link.
        """
        pure = PurePosixPath(name)
        plain = bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts
        if not plain or re.search(r"[\\\x00-\x1f]", name):
            raise ProjectError(f"{name!r} is no path inside the project", where=str(self.folder))
        path = self.folder / pure
        if not path.resolve().is_relative_to(self.folder):
            raise ProjectError(f"{name!r} leads out of the project through a link", where=str(self.folder))
        return path

    def write(self, files: Mapping[str, str | bytes]) -> tuple[Path, ...]:
        """Write files, each wholly or not at all; those that do not change are left alone. Texts get the line of their license.

        Args:
            files: path inside the project (with ``/``) -> content.

        Returns: their absolute paths, in the same order.
        """
        targets = [self.path(name) for name in files]
        for name, target in zip(files, targets, strict=True):
            if target.parent == self.folder and target.name in (MANIFEST, LOCK, OWNER):
                raise ProjectError(f"{name!r} is reserved", where=str(self.folder))
        for (name, content), target in zip(files.items(), targets, strict=True):
            self._write(target, licensed(name, content).encode() if isinstance(content, str) else content)
        return tuple(targets)

    def remove(self, owned: str, kept: Collection[str]) -> None:
        """Remove what a pattern of files inside the project finds besides those ``kept``, such as what others would include."""
        needed = {self.folder / name for name in kept}
        for path in set(self.folder.glob(owned)) - needed:
            if not path.parent.resolve().is_relative_to(self.folder):  # through a link
                continue
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            except OSError as error:
                raise ProjectError(f"cannot be removed: {error.strerror}", where=str(path)) from error

    def pack(self, archive: Path) -> None:
        """Create or replace ``archive``, a ``.tar.gz`` with all files of the project in a folder of its name.

        The same files make the same archive, whenever they were written and whoever did. Links are left out: they may lead
        anywhere.

        Raises:
            ProjectError: it cannot be written.
        """
        paths = [Path(folder) / name for folder, _, names in os.walk(self.folder) for name in names]
        top = archive.name.removesuffix(ARCHIVE)

        def write(file: BinaryIO) -> None:
            with (
                gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
                tarfile.TarFile(mode="w", fileobj=packed, format=tarfile.PAX_FORMAT) as tar,
            ):
                for path in sorted(paths):
                    if path.is_symlink() or not path.is_file() or path in (self.folder / LOCK, self.folder / OWNER):
                        continue
                    member = tarfile.TarInfo(f"{top}/{path.relative_to(self.folder).as_posix()}")
                    status = path.stat()
                    member.size, member.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
                    with path.open("rb") as content:
                        tar.addfile(member, content)

        write_atomically(archive, write)

    def cached(self, stage: str, digest: str) -> StageRecord | None:
        """The stage's record if it ended well with this digest and its files are still as it left them."""
        record = self._stages.get(stage)
        if record is None or record.digest != digest:
            return None
        for name, content in record.files.items():
            path = self.path(name)
            same = path.exists() if content.startswith(_STAMP) else path.is_file() and _file_digest(path) == content
            if not same:
                return None
        return record

    def record(
        self,
        stage: str,
        digest: str,
        result: Json,
        seconds: float,
        log: str | Path = "",
        files: Sequence[Path] = (),
        *,
        rewritten: bool = False,
    ) -> StageRecord:
        """Remember that a stage ended well.

        Args:
            digest: of everything that it depends on: see `digest`.
            result: what to give back instead of running it again.
            log, files: inside the project; ``files`` are those that later stages read.
            rewritten: others may write the files again, so that only their existence counts.
        """
        stamp = f"{_STAMP}{time.time_ns()}"
        kept = {self.inside(path): stamp if rewritten else _file_digest(path) for path in files}
        record = StageRecord(digest, round(seconds, 3), self.inside(log), result, kept)
        self._stages.pop(stage, None)
        self._stages[stage] = record
        self._write_manifest()
        return record

    def forget(self) -> None:
        """Remember no stage: each runs again."""
        self._stages.clear()
        self._write_manifest()

    def inside(self, path: str | Path) -> str:
        """A path inside the project as the manifest spells it; "" stays "".

        Raises:
            ProjectError: it leads out of the project, also through a link.
        """
        if not str(path):
            return ""
        absolute = (self.folder / path).resolve()
        if not absolute.is_relative_to(self.folder):
            raise ProjectError(
                f"{path} is not inside the project, or leads out of it through a link", where=str(self.folder)
            )
        return absolute.relative_to(self.folder).as_posix()

    def _write(self, target: Path, content: bytes) -> None:
        try:
            if target.is_file() and target.read_bytes() == content:
                return
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProjectError(f"cannot be written: {error.strerror}", where=str(target)) from error
        write_atomically(target, content)

    def _write_manifest(self) -> None:
        content: dict[str, Json] = {
            "made_by": "bitsmith",
            "format": _FORMAT,
            "name": self.name,
            "network": self.network,
            "stages": {stage: asdict(record) for stage, record in self._stages.items()},
        }
        sealed = {**content, _SEAL: seals.seal(MANIFEST, _canonical(content))}
        self._write(self.folder / MANIFEST, (json.dumps(sealed, indent=2) + "\n").encode())


def _warn_replaced(folder: Path, before: str, now: str) -> None:
    text = f"{folder} has {before}, which {now} replaces. Another output_dir keeps both."
    warn(text, ProjectWarning)


def _canonical(content: Mapping[str, Json]) -> bytes:
    """Return the text that the seal of a manifest is on: the same for equal contents."""
    return json.dumps(content, sort_keys=True).encode()


def _refuse_foreign(folder: Path) -> None:
    """Raise unless the folder is ours or empty."""
    if (folder / MANIFEST).exists():
        return
    ours = {LOCK, OWNER, *(path.name for path in _unfinished(folder))}
    others = sorted(path.name for path in folder.iterdir() if path.name not in ours)
    if others:
        shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise ProjectError(
            f"the folder has no {MANIFEST} but other files ({shown}): it was not made by bitsmith",
            where=str(folder),
            accepted="a new or empty folder, or one that bitsmith made",
            remedy=remedy("choose another folder: ", given(output_dir=OPEN)),
        )


def _unfinished(folder: Path) -> list[Path]:
    """Return the files that a process was writing when it was killed, before it had a manifest."""
    return [path for name in (MANIFEST, OWNER) for path in folder.glob(_scratch(folder / name, "*").name)]


def _lock(folder: Path) -> FileLock:
    """Take the lock; the system gives it back when its process ends, however that happens."""
    from filelock import FileLock, Timeout

    if (folder / LOCK).is_symlink():  # which the lock would follow, and empty the file there
        raise ProjectError("the lock is a link", where=str(folder / LOCK), remedy="delete it")
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        try:
            owner = (folder / OWNER).read_text(encoding="utf-8", errors="replace")[:32].strip()
        except OSError:
            owner = ""
        raise ProjectError(
            f"the project is in use by process {owner or '(starting)'}",
            where=str(folder),
            remedy=remedy("wait until it has ended, or choose another folder: ", given(output_dir=OPEN)),
        ) from None
    write_atomically(folder / OWNER, f"{os.getpid()}\n".encode())
    return lock


def _read_manifest(manifest: Path) -> tuple[str, str, dict[str, StageRecord]]:
    """The name, the network and the stages of a manifest, all empty where there is none.

    There are no stages of another version, or without this user's seal: everything runs again.
    """
    if not manifest.exists():
        return "", "", {}
    try:
        with open_file(manifest) as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES} bytes")
        content = json.loads(text)
        if content["made_by"] != "bitsmith":
            raise ValueError("another program's")
        name, network = (str(content.get(key, ""))[:_LONGEST] for key in ("name", "network"))
        if content["format"] != _FORMAT:
            return name, network, {}
        stages = {str(stage): _read_record(record) for stage, record in content["stages"].items()}
        stamp = str(content.pop(_SEAL, ""))
        return name, network, stages if seals.holds(stamp, MANIFEST, _canonical(content)) else {}
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProjectError(
            f"the manifest cannot be read: {reprlib.repr(error)}",
            where=str(manifest),
            remedy=remedy("delete the folder, or choose another: ", given(output_dir=OPEN)),
        ) from error


def _read_record(record: Mapping[str, Json]) -> StageRecord:
    seconds, files = record["seconds"], record["files"]
    if not isinstance(seconds, int | float) or not isinstance(files, Mapping):
        raise ValueError("a stage's record is malformed")
    return StageRecord(
        digest=str(record["digest"]),
        seconds=float(seconds),
        log=str(record["log"]),
        result=record["result"],
        files={str(name): str(content) for name, content in files.items()},
    )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
