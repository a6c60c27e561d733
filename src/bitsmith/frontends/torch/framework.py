"""The record of PyTorch."""

from typing import cast

from bitsmith.frontends.files.archive import first_member
from bitsmith.frontends.framework import Framework, ModelKey, ReadOptions, Shapeless, own_inputs
from bitsmith.frontends.torch.live import TorchModel, is_live, is_module
from bitsmith.frontends.torch.outputs import arguments, layer_results, torch_outputs, weights
from bitsmith.layers.network import Network


def _is_content(first: bytes) -> bool:
    in_folder = "/" in (first_member(first) or "")  # in which torch stores all members
    is_safe = int.from_bytes(first[:8], "little") < 100_000_000 and first[8:10] == b'{"'  # as safetensors are
    return in_folder or is_safe or first.startswith(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19")  # before torch 1.6


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
    is_content=_is_content,
    folder=None,
    takes=frozenset({"example", "input_shape", "layers"}),
    read=_read,
    outputs=torch_outputs,
    layer_results=layer_results,
    shapeless=Shapeless(is_module, arguments, weights),
    with_inputs=own_inputs,
)
