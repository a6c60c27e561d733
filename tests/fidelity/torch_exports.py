"""PyTorch modules handed over in turn as themselves, as exported programs and as what both ONNX exporters make of them."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bitsmith.frontends.torch.live import evaluating

MOST_JUMPS = 0.01
"""Part of the values that may differ where a result jumps."""

WAYS = ("live", "live", "live", "exported", "file", "onnx", "onnx", "dynamo")
"""How a module is handed over."""


def results_of(module: nn.Module, inputs: Sequence[Tensor]) -> list[np.ndarray]:
    with torch.no_grad(), evaluating(module):
        found = module(*(x.clone() for x in inputs))
    return [each.double().numpy() for each in (found if isinstance(found, tuple) else (found,))]


def _exported(module: nn.Module, inputs: Sequence[Tensor], *, open_batch: bool) -> torch.export.ExportedProgram:
    examples = tuple(x[:3].clone() for x in inputs)
    axes = torch.export.ShapesCollection()
    for x in examples:
        axes[x] = {0: torch.export.Dim.AUTO}
    with evaluating(module), torch.no_grad():
        return torch.export.export(module, examples, dynamic_shapes=axes if open_batch else None)


def _onnx(module: nn.Module, inputs: Sequence[Tensor], *, dynamo: bool, open_batch: bool) -> Any:
    import onnx

    examples = tuple(x[:3].clone() for x in inputs)
    names = [f"x{number}" for number in range(len(inputs))]
    if dynamo:
        options: dict[str, Any] = {"dynamic_shapes": tuple({0: torch.export.Dim.AUTO} for _ in names)}
    else:
        options = {"dynamic_axes": {name: {0: "n"} for name in names}}
    buffer = io.BytesIO()
    with evaluating(module), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        program = torch.onnx.export(
            module,
            examples,
            None if dynamo else buffer,
            input_names=names,
            dynamo=dynamo,
            **({"verbose": False} if dynamo else {"opset_version": 17}),
            **(options if open_batch else {}),
        )
    return program.model_proto if dynamo else onnx.load_from_string(buffer.getvalue())


def _meant(proto: Any, inputs: Sequence[Tensor], wanted: Sequence[np.ndarray], *, open_batch: bool) -> bool:
    """True if the exporter kept the meaning: onnxruntime computes what the module does."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    samples = len(wanted[0]) if open_batch else 3
    feeds = {f"x{number}": x[:samples].numpy() for number, x in enumerate(inputs)}
    found = session.run(None, {entry.name: feeds[entry.name] for entry in session.get_inputs()})
    return len(found) == len(wanted) and all(
        have.shape == want[:samples].shape
        and float(np.mean(np.abs(have - want[:samples]) > 1e-4 * max(np.abs(want).max(initial=0.0), 2.0**-8)))
        <= MOST_JUMPS
        for have, want in zip(found, wanted, strict=True)
    )


def handed(
    module: nn.Module, inputs: Sequence[Tensor], wanted: Sequence[np.ndarray], way: str, rng: random.Random, path: Path
) -> tuple[Any, dict[str, Any]]:
    """What ``convert`` gets, and its options; a live module where torch cannot export it, or exports something else."""
    open_batch = rng.random() < 0.7
    try:
        if way in ("exported", "file"):
            program = _exported(module, inputs, open_batch=open_batch)
            if way == "exported":
                return program, {}
            torch.export.save(program, path)
            return path, {}
        if way in ("onnx", "dynamo"):
            proto = _onnx(module, inputs, dynamo=way == "dynamo", open_batch=open_batch)
            if _meant(proto, inputs, wanted, open_batch=open_batch):
                return proto, {}
    except Exception:  # whatever an exporter raises for what it does not know
        pass
    if {x.dtype for x in inputs} != {torch.float32} or rng.random() < 0.5:  # shapes alone are taken for floating point
        return module, {"example": [x[:2].clone() for x in inputs]}
    return module, {"input_shape": [tuple(x.shape[1:]) for x in inputs]}
