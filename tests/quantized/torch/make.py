"""Writes the programs of quantized PyTorch models that the tests read, with inputs and what PyTorch computes from them.

    pip install torch==2.13.0 torchao==0.18.0 brevitas==0.13.4
    PYTHONPATH=src python tests/quantized/torch/make.py [NAME ...]

``NAME.npz`` has the input ``x``, the output ``y`` that PyTorch computes in single precision, and ``exact``, which the same
program gives in double precision. Inputs are multiples of 2**-8, and many are beyond the ranges.
"""

import contextlib
import io
import sys
import zipfile
from pathlib import Path

import brevitas_models
import numpy as np
import pt2e
import torch
from exact import exact_output

from bitsmith.frontends.torch.live import exported

MODELS = Path(__file__).parent / "models"


def write(name: str, archive: bytes, x: np.ndarray, y: np.ndarray) -> None:
    """The program, compressed, and its values."""
    program = torch.export.load(io.BytesIO(archive))
    path = MODELS / f"{name}.pt2"
    with zipfile.ZipFile(io.BytesIO(archive)) as given, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in given.infolist():
            target.writestr(zipfile.ZipInfo(entry.filename), given.read(entry), zipfile.ZIP_DEFLATED)
    exact = exact_output(program, x)
    np.savez_compressed(path.with_suffix(".npz"), x=x, y=y, exact=exact)
    decided = int(np.sum(exact.astype(np.float32) != y))
    sys.stdout.write(f"{name}: {path.stat().st_size} bytes; single precision decides {decided} of {exact.size}\n")


def inputs(shape: tuple[int, ...]) -> np.ndarray:
    """Small and large numbers."""
    rng = np.random.default_rng(1)
    scale = np.array([16, 256, 1024, 7000]).reshape(-1, 1, *(1 for _ in shape))
    raw = np.rint(rng.normal(size=(4, 16, *shape)) * scale)
    return (np.clip(raw, -8000, 8000) / 256).astype(np.float32).reshape(-1, *shape)


def main(wanted: list[str]) -> None:
    MODELS.mkdir(exist_ok=True)
    for source in (pt2e, brevitas_models):
        for name, (module, shape) in source.models().items():
            if not wanted or name in wanted:
                x = inputs(shape)
                with torch.no_grad():
                    y = module(torch.from_numpy(x))
                archive = (
                    saved(module, x)
                    if source is pt2e
                    else exported(module, [x[:2]], None, lambda *_: contextlib.nullcontext())
                )
                write(name, archive, x, getattr(y, "value", y).numpy())


def saved(module: torch.nn.Module, x: np.ndarray) -> bytes:
    """The program of a module, as users save it."""
    batch = ({0: torch.export.Dim("batch")},)
    archive = io.BytesIO()
    torch.export.save(torch.export.export(module, (torch.from_numpy(x),), dynamic_shapes=batch), archive)
    return archive.getvalue()


main(sys.argv[1:])
