"""The record of PyTorch."""

from typing import cast

from bitsmith.frontends.files.archive import first_member
from bitsmith.frontends.framework import Framework, ModelKey, ReadOptions, Shapeless, own_inputs
from bitsmith.frontends.torch.live import TorchModel, is_live, is_module
from bitsmith.frontends.torch.outputs import layer_results, torch_outputs, weights
from bitsmith.layers.network import Network


def _read(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.torch.read import read_torch

    return read_torch(cast("TorchModel", model), options)  # which refuses anything else


TORCH = Framework(
    name="PyTorch",
    stem="pytorch",
    keys=(ModelKey("PytorchModel", (".pt2",), weights=None, live=True),),
    refused=(".pt", ".pth", ".th", ".pkl", ".ckpt", ".jit", ".torchscript", ".ptl", ".safetensors"),
    files="*.pt2 of torch.export.save",
    live="a torch.nn.Module or an ExportedProgram",
    is_live=is_live,
    is_content=lambda first: "/" in (first_member(first) or ""),  # torch stores all members in a folder
    folder=None,
    takes=frozenset({"example", "input_shape", "layers"}),
    read=_read,
    outputs=torch_outputs,
    layer_results=layer_results,
    shapeless=Shapeless(is_module, weights),
    with_inputs=own_inputs,
)
