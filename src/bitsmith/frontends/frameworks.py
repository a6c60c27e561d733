"""The table of frameworks, and whose model something is: by a file's first bytes, or else its ending, or by an object's class.

Readers that other packages bring are found under :data:`GROUP` in the entry points of what is installed
(``docs/add-a-framework.md``). They come after the table, and are looked for where that has no answer.
"""

import os
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

from bitsmith.base.files import local_path
from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.archive import FIRST_NAME_BYTES, first_bytes
from bitsmith.frontends.foreign import foreign_file, foreign_object, is_text
from bitsmith.frontends.formulas.framework import FORMULAS
from bitsmith.frontends.framework import Framework, no_content
from bitsmith.frontends.keras.framework import KERAS
from bitsmith.frontends.lut_networks.framework import DWN, KANELE, LOGICNETS
from bitsmith.frontends.onnx.framework import ONNX
from bitsmith.frontends.spiking.framework import NIR, SNNTORCH
from bitsmith.frontends.tflite.framework import TFLITE
from bitsmith.frontends.torch.framework import TORCH
from bitsmith.frontends.trees.frameworks import CATBOOST, LIGHTGBM, SKLEARN, TREELITE, XGBOOST, YDF

FRAMEWORKS = (
    KERAS, SNNTORCH, TORCH, ONNX, TFLITE, XGBOOST, LIGHTGBM, CATBOOST, TREELITE, YDF, SKLEARN, NIR, KANELE, LOGICNETS, DWN,
    FORMULAS,
)  # fmt: skip
"""The table. Estimators of XGBoost and LightGBM are ones of scikit-learn, too, and modules of snnTorch ones of PyTorch: their
records come first."""

GROUP = "bitsmith.frameworks"
"""The group of entry points, each of which names a :class:`Framework`."""

AnyModel: TypeAlias = object
"""A file, or a live model, of a framework of the table or of one that an installed package brings."""

_READER = (
    "export it to ONNX, or give the model within it; a package can bring a reader of its own (docs/add-a-framework.md)"
)


def frameworks() -> Iterator[Framework]:
    """All frameworks: those of the table, then those of installed packages by the names of their entry points."""
    yield from FRAMEWORKS
    yield from installed()


@cache
def installed() -> tuple[Framework, ...]:
    """The frameworks that installed packages bring; a package that fails is named in a warning and left out."""
    from importlib.metadata import entry_points

    records = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = "?" if entry.dist is None else entry.dist.name
        try:
            record = entry.load()
        except Exception as error:  # whatever the package raises
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            problem = "" if isinstance(record, Framework) else f"a {type(record).__name__} instead of a Framework"
            records += [] if problem else [record]
        if problem:
            warnings.warn(f"the framework {entry.name!r} of the package {package} is left out: {problem}", stacklevel=2)
    return tuple(records)


def framework_of(model: AnyModel) -> Framework:
    """The framework whose model a file or an object is; a text may be a formula.

    Raises:
        ModelFileError: it is of none, or cannot be opened.
    """
    if isinstance(model, str | os.PathLike) and not is_text(model):
        return FORMULAS if FORMULAS.is_live(model) else _of_file(local_path(model))
    record = next((record for record in frameworks() if not isinstance(model, type) and record.is_live(model)), None)
    if record is None:
        accepted = ", ".join(record.live for record in frameworks() if record.live is not None)
        first = model[:FIRST_NAME_BYTES] if isinstance(model, bytes) else b""
        files = [record.name for record in frameworks() if first and record.is_content(first)]
        raise foreign_object(model, f"a path, {accepted}", _READER, files[-1] if files else "")
    return record


def check_file(path: Path, framework: Framework | None = None) -> None:
    """Refuse what is known not to be the file of a model, or of a model of ``framework``.

    Raises:
        ModelFileError: such a file, a folder of no model, or nothing.
    """
    if _of_folder(path) is not None:
        return
    if error := foreign_file(path, (suffix for record in frameworks() for suffix in record.suffixes)):
        raise error
    if framework is not None and (other := _of_bytes(_first_bytes(path), framework)) is not framework:
        raise ModelFileError(
            f"a file of {other.name}",
            where=str(path),
            accepted=f"{framework.files} of {framework.name}",
            remedy=f"bitsmith.convert({str(path)!r}); the key of projects is {other.keys[0].name}",
        )


def _of_bytes(first: bytes, named: Framework) -> Framework:
    """The framework whose files begin so, which is ``named`` if its files begin with nothing of their own, or if it is none."""
    if named.is_content is no_content or named.is_content(first):
        return named
    return next((record for record in FRAMEWORKS if record.is_content(first)), named)


def _of_folder(path: Path) -> Framework | None:
    """The framework whose models are such folders."""
    try:
        records = frameworks() if path.is_dir() else ()
        return next((record for record in records if record.folder and (path / record.folder).is_file()), None)
    except OSError:  # a path that no file can have
        return None


def _first_bytes(path: Path) -> bytes:
    """The first bytes of a file; none of anything else."""
    try:
        return first_bytes(path, FIRST_NAME_BYTES) if path.is_file() else b""
    except OSError:  # a path that no file can have
        return b""


def _of_file(path: Path) -> Framework:
    suffix, first = path.suffix.lower(), _first_bytes(path)
    record = _of_folder(path) or next(
        (record for record in FRAMEWORKS if not record.suffixes and record.is_content(first)), None
    )
    record = record or next((record for record in frameworks() if suffix in record.suffixes), None)
    if record is not None:
        return _of_bytes(first, record)
    check_file(path)
    record = next((record for record in frameworks() if record.is_content(first)), None)
    if record is None:
        raise ModelFileError(
            "the file is of no framework that is known here",
            where=str(path),
            accepted="; ".join(f"{record.files} of {record.name}" for record in frameworks() if record.files),
        )
    return record
