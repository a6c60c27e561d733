"""The record of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from bitsmith.frontends.custom.call import Layers
from bitsmith.frontends.framework import Framework, ModelKey, ReadOptions, Shapeless, no_content
from bitsmith.frontends.outputs import FrameworkRun, Numbers
from bitsmith.frontends.torch.live import TorchModel, is_exported, is_module, module_results, module_weights
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network


def _is_live(model: object) -> bool:
    return is_exported(model) or is_module(model)


def _read(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.torch.read import read_torch

    return read_torch(
        cast("TorchModel", model),  # read_torch refuses anything else
        example=options.example,
        input_shape=options.input_shape,
        allow_approximate=options.allow_approximate,
        layers=options.layers,
    )


def _outputs(
    model: object, inputs: Sequence[Numbers], *, insist: bool, layers: Layers | None = None
) -> FrameworkRun | None:
    from bitsmith.frontends.torch.outputs import torch_outputs

    return torch_outputs(cast("TorchModel", model), inputs, insist=insist)


def _layer_results(model: object, network: Network, inputs: Sequence[Numbers]) -> Mapping[str, Floats]:
    return module_results(model, inputs) if is_module(model) else {}


def _weights(model: object) -> Mapping[str, Floats]:
    return module_weights(model) if is_module(model) else {}


TORCH = Framework(
    name="PyTorch",
    stem="pytorch",
    keys=(ModelKey("PytorchModel", (".pt2",), weights=None, live=True),),
    refused=(".pt", ".pth", ".th", ".pkl", ".ckpt", ".jit", ".torchscript", ".ptl", ".safetensors"),
    files="*.pt2 of torch.export.save",
    live="a torch.nn.Module or an ExportedProgram",
    is_live=_is_live,
    is_content=no_content,
    takes=frozenset({"example", "input_shape", "layers"}),
    read=_read,
    outputs=_outputs,
    layer_results=_layer_results,
    shapeless=Shapeless(is_module, _weights),
)
