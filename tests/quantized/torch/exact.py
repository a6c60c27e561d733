"""Exported programs in double precision, in which products of 8-bit codes and their scales are exact."""

from collections.abc import Callable

import numpy as np
import torch
from torch.fx import Interpreter, Node


def _double(value: object) -> object:
    floats = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.double() if floats else value


def _inverse(scale: float | torch.Tensor) -> torch.Tensor:
    """As PT2E computes it: rounded to single precision."""
    return (1.0 / torch.as_tensor(scale, dtype=torch.float64)).float().double()


def _single(scale: float | torch.Tensor) -> torch.Tensor:
    """As tensors of single precision are multiplied by numbers."""
    return torch.as_tensor(scale, dtype=torch.float64).float().double()


def _codes(x, scale, zero_point, lo, hi):
    return torch.clamp(torch.round(x * _inverse(scale)) + zero_point, lo, hi)


def _computed_codes(x, scale, zero_point, lo, hi, dtype):
    """Of numbers that are not the program's inputs: what single precision adds to them is more than the inverse makes."""
    return torch.clamp(torch.round(x / _single(scale)) + zero_point, lo, hi)


def _along(x: torch.Tensor, axis: int, *parts: torch.Tensor) -> list[torch.Tensor]:
    return [part.reshape([-1 if k == axis else 1 for k in range(x.ndim)]) for part in parts]


def _quantize_per_channel(x, scales, zeros, axis, lo, hi, dtype):
    return _codes(x, *_along(x, axis, scales, zeros), lo, hi)


def _dequantize_per_channel(x, scales, zeros, axis, lo, hi, dtype, out_dtype=None):
    scales, zeros = _along(x, axis, scales, torch.zeros_like(scales) if zeros is None else zeros)
    return (x.double() - zeros) * scales


def _blocks(x: torch.Tensor, sizes: list[int], part: torch.Tensor) -> torch.Tensor:
    part = part.reshape([n // size for n, size in zip(x.shape, sizes, strict=True)])
    for axis, size in enumerate(sizes):
        part = part.repeat_interleave(size, axis)
    return part


def _dequantize_affine(x, sizes, scale, zero, dtype, lo=None, hi=None, output_dtype=None):
    return (x.double() - _blocks(x, sizes, zero)) * _blocks(x, sizes, scale)


_OPERATORS: dict[str, Callable[..., torch.Tensor]] = {
    "quantized_decomposed.quantize_per_tensor": lambda x, scale, zero, lo, hi, dtype: _codes(x, scale, zero, lo, hi),
    "quantized_decomposed.dequantize_per_tensor": lambda x, scale, zero, *_, **__: (x.double() - zero) * _single(scale),
    "quantized_decomposed.quantize_per_channel": _quantize_per_channel,
    "quantized_decomposed.dequantize_per_channel": _dequantize_per_channel,
    "torchao.quantize_affine": lambda x, sizes, scale, zero, dtype, lo, hi: _codes(x, scale, zero, lo, hi),
    "torchao.dequantize_affine": _dequantize_affine,
    "bitsmith.parameter": lambda values, scale, lo, hi: torch.round(values / scale) * scale,
}


class _Exact(Interpreter):
    def run_node(self, n: Node) -> object:
        if "quantized_decomposed.quantize" in str(n.target) and n.args[0].op != "placeholder":
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            return _computed_codes(*args, **kwargs)
        return _double(super().run_node(n))

    def call_function(self, target, args, kwargs):
        name = str(target).rpartition(".")[0]
        return _OPERATORS.get(name, target)(*args, **kwargs)

    def placeholder(self, target, args, kwargs):
        return _double(super().placeholder(target, args, kwargs))


def exact_output(program: torch.export.ExportedProgram, x: np.ndarray) -> np.ndarray:
    """What ``program`` computes, but for the rounding errors of single precision."""
    module = program.graph_module
    state = {**program.state_dict, **program.constants}
    signature = program.graph_signature
    targets = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    places = [node for node in module.graph.nodes if node.op == "placeholder"]
    ((batch, *_),) = (node.meta["val"].shape for node in places if node.name not in targets)
    samples = batch if isinstance(batch, int) else len(x)  # some programs are for so many samples
    found = []
    with torch.no_grad():
        for part in torch.from_numpy(x).split(samples):
            (y,) = _Exact(module).run(*(state[targets[node.name]] if node.name in targets else part for node in places))
            found.append(y.numpy())
    return np.concatenate(found)
