"""Live Brevitas modules: their quantizers as the operators of :mod:`bitsmith.frontends.torch.staircases`, which an export shows.

Brevitas computes each quantizer from many small modules and hands tensors with their grids from layer to layer, which
torch.export does not follow. For the time of an export each quantizer is one operator, and tensors are plain. What a quantizer
does is found by running it, not by its class: any of Brevitas's scales, ranges and rounding functions will do, and an activation
function belongs to it. Nothing of Brevitas is imported.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import TypeAlias

import numpy as np
import torch
from torch.nn import functional

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.torch.hooks import hooked, replaced
from bitsmith.frontends.torch.staircases import MOST_LEVELS, ROUNDINGS, Function, staircase, uniform, uniform_parts
from bitsmith.layers.layer import Floats, broadcasts

_Call: TypeAlias = tuple[tuple[torch.Tensor, ...], torch.Tensor]
"""Operands and the result, which may be tuples, as Brevitas's tensors are."""

_ACTIVATION, _PARAMETER = "FusedActivationQuantProxy", "ParameterQuantProxyFromInjector"
_TRUNCATION, _CLAMP = "TruncQuantProxyFromInjector", "ClampQuantProxyFromInjector"
_POOL, _ADAPTIVE_POOL = "TruncAvgPool2d", "TruncAdaptiveAvgPool2d"
_RESIZING = ("QuantUpsample", "QuantUpsamplingBilinear2d", "QuantUpsamplingNearest2d")
_CLASSES = (_ACTIVATION, _PARAMETER, _TRUNCATION, _CLAMP, _POOL, _ADAPTIVE_POOL, *_RESIZING)
"""Brevitas's classes whose calls are replaced."""


@contextlib.contextmanager
def shown_quantizers(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> Iterator[None]:
    """``module`` with operators for the quantizers that it uses on the inputs, and without tensors of Brevitas's own.

    Raises:
        UnsupportedError: a quantizer that depends on the data, or that none of the operators is.
    """
    calls = _calls(module, inputs)
    with contextlib.ExitStack() as stack:
        attention = sys.modules.get("brevitas.nn.quant_mha")
        if attention is not None:  # what is traced has no address
            replaced(stack, attention, "check_tensors_same_ptr", lambda given: all(x is given[0] for x in given))
        inside = {part.trunc_quant for part in calls if _class(part) in (_POOL, _ADAPTIVE_POOL)}
        for path, part in module.named_modules() if calls else ():
            for name, value in (("return_quant_tensor", False), ("skip_create_quant_tensor", True)):
                if hasattr(part, name):
                    replaced(stack, part, name, value)
            if part in calls and part not in inside:
                replaced(stack, part, "forward", _replacement(path, part, calls))
        yield


def _class(part: torch.nn.Module) -> str | None:
    """Return the entry of the class that the part has or derives from."""
    return next((base.__name__ for base in type(part).__mro__ if base.__name__ in _CLASSES), None)


def _calls(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> dict[torch.nn.Module, list[_Call]]:
    """The calls of all quantizers, in order. An error of the module is left to the export."""
    calls: dict[torch.nn.Module, list[_Call]] = {}
    hooks = (
        part.register_forward_hook(lambda part, given, result: calls.setdefault(part, []).append((given, result)))
        for part in module.modules()
        if _class(part) is not None
    )
    with hooked(hooks), torch.no_grad(), contextlib.suppress(Exception):
        module(*inputs)
    return calls


def _replacement(
    path: str, part: torch.nn.Module, calls: dict[torch.nn.Module, list[_Call]]
) -> Callable[..., torch.Tensor | tuple[torch.Tensor, ...]]:
    """Return a replacement of ``part`` by operators."""
    operands, result = calls[part][0]
    try:
        with torch.no_grad():
            match _class(part):
                case name if name == _PARAMETER:
                    if result is None or isinstance(result, torch.Tensor):  # there is nothing, or the quantizer is off
                        return _unchanged(part)
                    results = cycle([_parameter(part, each) for _, each in calls[part]])
                    return lambda *_: next(results)()
                case name if name == _ACTIVATION:
                    operator, rest = _activation(part, operands[0], result), tuple(result[1:])
                    return lambda x: (operator(x), *rest)
                case name if name == _CLAMP:
                    return _clamp(part, operands[0])
                case name if name in _RESIZING and part.mode == "nearest":
                    return lambda x: torch.nn.Upsample.forward(part, x)
                case name if name in _RESIZING:
                    raise UnsupportedError("elements in between that are rounded", accepted="nearest neighbors")
                case name if name == _TRUNCATION:
                    return _truncation(part, operands[0], result)
                case _:
                    return _pool(part, operands[0], calls.get(part.trunc_quant, []))
    except UnsupportedError as error:
        raise UnsupportedError(
            error.found, where=path, accepted=error.accepted, remedy="quantize in another way there"
        ) from error


def _unchanged(part: torch.nn.Module) -> Callable[..., torch.Tensor]:
    """Compute the part without a replacement."""
    return lambda *given: type(part).forward(part, *given)


def _parameter(part: torch.nn.Module, result: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Trained values, on the grid that they are said to be on, or else on the coarsest binary one."""
    values = result.value.detach()
    exact = values.double()
    scale, bits = result.scale.detach().double(), getattr(result, "bit_width", None)
    lowest = highest = torch.zeros((), dtype=torch.float64)
    if bits is not None and broadcasts(tuple(scale.shape), tuple(values.shape)):
        ends = code_range(bits.detach().double(), signed=bool(result.signed), narrow=bool(part.is_narrow_range))
        lowest, highest = (end - result.zero_point.detach().double() for end in ends)
    else:
        scale = torch.tensor(_common_step(exact.numpy()), dtype=torch.float64)
    codes = torch.round(exact / scale)
    lowest, highest = torch.minimum(lowest, codes.min()), torch.maximum(highest, codes.max())
    return lambda: torch.ops.bitsmith.parameter(values, scale, lowest, highest)


def code_range(bits: torch.Tensor, *, signed: bool, narrow: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The least and the greatest code; a ``narrow`` range lacks the code furthest from 0."""
    size = 2.0 ** (bits - float(signed))
    return (float(narrow) - size, size - 1.0) if signed else (0.0 * size, size - 1.0 - float(narrow))


def _common_step(values: Floats) -> float:
    """The greatest power of two that all values are multiples of."""
    fractions, powers = np.frexp(values[values != 0.0])
    whole = np.ldexp(fractions, 53).astype(np.int64)
    steps = np.ldexp((whole & -whole).astype(np.float64), powers - 53)
    return float(steps.min()) if steps.size else 1.0


def _activation(part: torch.nn.Module, x: torch.Tensor, result: torch.Tensor) -> Function:
    """An activation function and a quantizer."""
    scale, zero_point = result[1], result[2]
    if scale is None:  # the quantizer is switched off
        return lambda y: part.activation_impl(y)
    again = part(x * 0.5 + 1.0)[1]
    if again.shape != scale.shape or not torch.equal(again, scale):
        raise UnsupportedError("a quantizer whose scale depends on the data", accepted="scales that were trained")
    found = uniform(lambda points: part(points)[0], scale, zero_point)
    found = found or staircase(lambda points: part(points)[0], scale)
    if found is not None:
        return found
    after = uniform(lambda points: part.tensor_quant(points)[0], scale, zero_point)
    if after is None:
        kind = f"{type(part.activation_impl).__name__} and {type(part.tensor_quant).__name__}"
        raise UnsupportedError(f"the quantizer {kind}", accepted=f"functions that rise in at most {MOST_LEVELS} steps")
    return lambda y: after(part.activation_impl(y))


def _clamp(part: torch.nn.Module, x: torch.Tensor) -> Function:
    """A quantizer that clamps sums, whose scale is the operand's."""
    found = uniform(lambda points: part.tensor_quant(points, x.scale, x.bit_width)[0], x.scale, x.zero_point)
    if found is None:
        raise UnsupportedError(f"the quantizer {type(part.tensor_quant).__name__}", accepted="clamps")
    return found


def _truncation(
    part: torch.nn.Module, x: torch.Tensor, result: torch.Tensor, scale: torch.Tensor | None = None
) -> Function:
    """A quantizer that drops bits of sums, which are multiples of ``scale``, and of ``x.scale`` as Brevitas has them."""
    unit, none = torch.ones(()), torch.zeros(())
    if bool((x.zero_point != 0.0).any()):
        raise UnsupportedError("a truncation with a zero point", accepted="a zero point of 0")
    if scale is None and not bool((torch.frexp(x.scale)[0] == 0.5).all()):
        raise UnsupportedError(
            "a truncation of sums whose scale is not a power of two, which errors of single precision decide",
            accepted="scales that are powers of two",
        )
    dropped = part.tensor_quant(unit, unit, none, x.bit_width, x.signed)[1]
    parts = uniform_parts(
        lambda points: part.tensor_quant(points, unit, none, x.bit_width, x.signed)[0], dropped, none, integers=True
    )
    if parts is None:
        raise UnsupportedError("a truncation of another kind", accepted=", ".join(ROUNDINGS))
    lowest, highest, rounding = parts
    exact, step = (x.scale if scale is None else scale).double() * dropped.double(), result.scale
    return lambda y: torch.ops.bitsmith.quantize(y, exact, none, lowest, highest, step, rounding)


def _pool(part: torch.nn.Module, x: torch.Tensor, truncations: Sequence[_Call]) -> Function:
    """A mean that is truncated: the sum, on the operand's grid, which the mean is not."""
    if not truncations:
        return _unchanged(part)
    (mean, *_), result = truncations[0]
    operator = _truncation(part.trunc_quant, mean, result, x.scale)
    if _class(part) == _ADAPTIVE_POOL:
        size: object = tuple(n // m for n, m in zip(x.value.shape[2:], mean.value.shape[2:], strict=True))
        stride, fits = size, all(n % m == 0 for n, m in zip(x.value.shape[2:], mean.value.shape[2:], strict=True))
    else:
        size, stride, fits = part.kernel_size, part.stride, not part.ceil_mode and not np.any(part.padding)
    if not fits:
        raise UnsupportedError("a truncated mean of windows of several sizes", accepted="windows of one size")
    return lambda y: operator(functional.avg_pool2d(y, size, stride, divisor_override=1))
