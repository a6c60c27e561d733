"""Outputs of PyTorch's models as torch computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bitsmith.frontends.outputs import FrameworkRun, ModelRun, NotComparedError, Numbers, flat, in_parts
from bitsmith.frontends.torch.live import evaluating, is_exported, is_module, is_script, module_results, module_weights
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network

if TYPE_CHECKING:
    import torch


def torch_outputs(asked: ModelRun) -> FrameworkRun | None:
    """Outputs of a module or an exported program; of a file if the caller insists, else None.

    Raises:
        NotComparedError: they are not to be had.
    """
    model = asked.model
    if is_module(model):
        return _of_module(model, asked.inputs)
    if not is_exported(model):
        if not asked.insist:
            return None
        model = _loaded_program(Path(str(model)))
    return FrameworkRun("PyTorch", _exported_outputs(model, asked.inputs))


def layer_results(model: object, network: Network, inputs: Sequence[Numbers]) -> Mapping[str, Floats]:
    """Results of the modules within a live module, by their paths; empty of others, and of TorchScript, which takes no hooks."""
    return module_results(model, inputs) if is_module(model) and not is_script(model) else {}


def arguments(model: object) -> tuple[str, ...]:
    """The names of the arguments that ``forward()`` of a live module takes in order; none of others."""
    if not is_module(model):
        return ()
    taken = signature(model.forward).parameters.values()
    return tuple(each.name for each in taken if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD))


def weights(model: object) -> Mapping[str, Floats]:
    """The elements of a live module's parameters; empty of others."""
    return module_weights(model) if is_module(model) else {}


def _of_module(module: torch.nn.Module, inputs: Sequence[Numbers]) -> FrameworkRun:
    import torch

    place = next(module.parameters(), torch.zeros(()))
    tensors = [torch.from_numpy(np.array(x)).to(place.device) for x in inputs]
    with evaluating(module), torch.no_grad():
        result = module(*(x.to(place.dtype) if x.is_floating_point() else x for x in tensors))
    half = place.dtype in (torch.float16, torch.bfloat16)
    return FrameworkRun("PyTorch", flat(result), half, accelerated=place.device.type != "cpu")


def _exported_outputs(program: torch.export.ExportedProgram, inputs: Sequence[Numbers]) -> tuple[Floats, ...]:
    import torch

    places = [node.meta["val"] for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    if any(not isinstance(size, int) for tensor in places for size in tensor.shape[1:]):
        raise NotComparedError("its samples are not along the first axis")
    module = program.module()
    examples: Sequence[torch.Tensor] = () if program.example_inputs is None else program.example_inputs[0]
    types = [example.dtype for example in examples] or [torch.from_numpy(x).dtype for x in inputs]

    def run(batch: Sequence[Numbers]) -> object:
        tensors = [torch.from_numpy(np.array(x)).to(dtype) for x, dtype in zip(batch, types, strict=True)]
        with torch.no_grad():
            return module(*tensors)

    try:
        return flat(run(inputs))
    except Exception:  # it may take as many samples as its example had, only
        if not examples:
            raise
        return in_parts(run, inputs, len(examples[0]))


def _loaded_program(path: Path) -> torch.export.ExportedProgram:
    if find_spec("torch") is None:
        raise NotComparedError("PyTorch is not installed")
    import torch

    return torch.export.load(path)
