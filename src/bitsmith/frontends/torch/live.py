"""Live PyTorch modules and exported programs as the bytes of a .pt2 archive, so that there is one way to read them all.

torch is imported here only, and only when such an object is given.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ConfigError, UnsupportedError, nearest
from bitsmith.frontends.builder.known import BY_SAMPLES
from bitsmith.frontends.input_shapes import Example, InputShapes, sample_shapes
from bitsmith.frontends.keras.live import LiveModel
from bitsmith.frontends.torch.choices import check_choices, check_numbers, for_so_many
from bitsmith.frontends.torch.hooks import check_rows, hooked, renormalized
from bitsmith.frontends.torch.lengths import PACKED, refusing_lengths
from bitsmith.frontends.torch.writes import writes_elsewhere
from bitsmith.layers.layer import Floats, Shape

if TYPE_CHECKING:
    import torch

TorchModel: TypeAlias = "str | os.PathLike[str] | torch.nn.Module | torch.export.ExportedProgram"
"""A ``.pt2`` file, a live module, or an exported program."""

Showing: TypeAlias = "Callable[[torch.nn.Module, Sequence[torch.Tensor]], contextlib.AbstractContextManager[None]]"
"""Changes a module, which is called with these inputs, for the time of a context."""

_SHOWN = 600
_FOR_PROCESSORS = (
    "modules of torch.ao.quantization, which watch data or pack weights for one kind of processor",
    "give the float module, with bits=8 for example; or quantize its torch.export by prepare_pt2e and convert_pt2e",
)
_WATCHING = ("torch.ao.quantization.fake_quantize", "torch.ao.quantization.observer")

_SCRIPT_REMEDY = (
    "export it to ONNX and convert that: torch.onnx.export(model, (example,), 'model.onnx', dynamo=False), "
    "where a state that the module keeps becomes a constant, as a call with the example leaves it: have it take and return that"
)
_CHOICES = (
    "torch.where(condition, a, b) computes both and chooses, which a circuit can do; slices need sizes that are known, and "
    "loops a number of rounds"
)
_MASKS = (
    "repeat a mask of the heads for any number of samples: attn_mask=mask.repeat(x.shape[0], 1, 1); or, of an input of axes "
    "(samples, heads, queries, keys), attn_mask=mask.flatten(0, 1)"
)
_CALL = re.compile(r'raised this error:\n  File "([^"]+)", line (\d+), in .*\n *(.+)')
"""The line of the user's that torch names."""


def is_module(model: object) -> TypeGuard[torch.nn.Module]:
    """Return True if ``model`` is a live module that is not a model of Keras on PyTorch; without importing torch."""
    return (
        "torch" in sys.modules
        and isinstance(model, sys.modules["torch"].nn.Module)
        and not isinstance(model, LiveModel)
    )


def is_exported(model: object) -> TypeGuard[torch.export.ExportedProgram]:
    """Return True if ``model`` is an exported program; without importing torch."""
    return "torch.export" in sys.modules and isinstance(model, sys.modules["torch.export"].ExportedProgram)


def is_live(model: object) -> TypeGuard[torch.nn.Module | torch.export.ExportedProgram]:
    """Return True if ``model`` is a live module or an exported program; without importing torch."""
    return is_exported(model) or is_module(model)


def exported(
    module: torch.nn.Module, examples: Sequence[Example] | None, shapes: InputShapes | None, shown_modules: Showing
) -> bytes:
    """``module`` exported, in evaluation mode, for any number of samples if it allows that.

    Modules that do not export as they are are traced by torch.fx first. ``shown_modules`` changes the module, which is called
    with inputs, for the time of an export.

    Raises:
        ConfigError: neither examples nor shapes, or layers without weights.
        UnsupportedError: a module that neither exports nor can be traced.
    """
    import torch

    from bitsmith.frontends.torch.brevitas import shown_quantizers

    _check_initialized(module)
    error: Exception | None = None
    with evaluating(module), renormalized(module) as shorter, _quiet():
        for inputs, axes in _inputs(module, examples, shapes):
            if error is not None and BY_SAMPLES[0] in str(error):  # what zeros of another type may hide
                break
            if is_script(module):
                try:
                    program = _export(_unscripted(module, inputs), inputs, axes)
                    if not any(axes):
                        check_numbers(module, program.module(), inputs)
                    return saved(program)
                except Exception as raised:
                    error = error or raised
                    continue
            with shown_quantizers(module, inputs), shown_modules(module, inputs), refusing_lengths(module):
                for traced in (False, True):
                    try:
                        program = _export(torch.fx.symbolic_trace(module) if traced else module, inputs, axes)
                        archive = saved(program)
                    except Exception as raised:  # torch hands on whatever the module's code raises
                        error = error or raised
                        continue
                    check_rows(program, shorter)
                    return archive
    watched = any(type(part).__module__ in _WATCHING for part in module.modules())
    reason, remedy = _FOR_PROCESSORS if watched else _reason(str(error))
    if is_script(module) and not remedy:
        remedy = _SCRIPT_REMEDY
    elif not remedy:
        tip = f"check {shapes}, the shape of a sample without the axis of samples, by input_shape or calibration data"
        if examples is not None:
            tip = f"check the shapes {[tuple(np.shape(x)) for x in examples]}: the first axis counts samples, as x[None] has it"
        elif any(len(x) == 3 and x[-1] <= 4 < x[0] for x in sample_shapes(shapes, examples=True)):
            tip = "PyTorch has the channels of images first: x.transpose(0, 3, 1, 2)"
        remedy = f"{tip}{'; or give an example input' * (examples is None)}; or export it yourself, and give the ExportedProgram"
    raise UnsupportedError(
        f"torch.export cannot export the module: {reason}",
        where=type(module).__name__,
        accepted="modules whose operations do not depend on the data, and inputs that fit them",
        remedy=remedy,
    )


def _check_initialized(module: torch.nn.Module) -> None:
    """Refuse lazy layers that have seen no sample, whose weights would be random ones."""
    from torch.nn.parameter import is_lazy

    held = (
        (path, part, (*part._parameters.values(), *part._buffers.values())) for path, part in module.named_modules()
    )
    lazy = [
        f"{path or 'the module'} ({type(part).__name__})" for path, part, values in held if any(map(is_lazy, values))
    ]
    if lazy:
        raise ConfigError(
            f"layers without weights: {nearest((), lazy)}",
            where=type(module).__name__,
            accepted="a module whose weights are there",
            remedy="call it once with a sample, and train it or load its weights",
        )


def _reason(text: str) -> tuple[str, str]:
    """The reason that an error of an export gives, without torch's hints to its own developers; and the remedy if it is known."""
    call = _CALL.search(text)
    line = f" ({Path(call[1]).name}, line {call[2]}: {call[3]})" if call else ""
    if any(name in text for name in ("PackedParams", "aten.dequantize", "aten.quantize_per", "quantized nyi")):
        return _FOR_PROCESSORS
    if PACKED[0] in text:
        return PACKED
    if BY_SAMPLES[0] in text:
        return text, BY_SAMPLES[1]
    if "data-dependent" in text:
        return f"a choice or a size that depends on the data{line}", _CHOICES
    if "cache_utils" in text:
        return "a cache of earlier words among its results", "set model.config.use_cache = False"
    if "3D attn_mask" in text:
        return "a mask of attention for a fixed number of samples: its first axis has each head of each sample", _MASKS
    if "return_types" in text:
        return "a result of torch.return_types, as x.max(1) has", "return a tuple, tuple(x.max(1)), or x.max(1).values"
    first, _, _ = text.partition("\n\n")
    if "missing a required argument" in text:
        return first[
            :_SHOWN
        ], "give a shape for each input, input_shape=[(16,), (4,)], or an example of each, example=(x, y)"
    return first[:_SHOWN] + line, ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the traces and graphs that torch logs and prints of exports that fail, for the time of the context."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def is_script(module: torch.nn.Module) -> bool:
    """Return True if the module is TorchScript."""
    import torch

    return isinstance(module, torch.jit.ScriptModule)


def _unscripted(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> torch.nn.Module:
    """A module of the operators that TorchScript's graph has, which torch.export takes."""
    import torch
    from torch._export.converter import TS2EPConverter

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: torch.export.ExportedProgram = TS2EPConverter(module, tuple(inputs)).convert()
        return program.module()


def saved(program: torch.export.ExportedProgram) -> bytes:
    """A .pt2 archive of ``program``; where that writes into parts of tensors, of one that makes new tensors instead.

    Raises:
        UnsupportedError: results that such archives do not hold.
    """
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if writes_elsewhere(program):
            with contextlib.suppress(Exception):  # what torch cannot decompose is refused by name
                program = program.run_decompositions({})
        program = _decomposed(program)
        try:
            torch.export.save(program, buffer)
        except NotImplementedError as error:
            reason, remedy = _reason(str(error))
            raise UnsupportedError(f"torch.export.save cannot write the program: {reason}", remedy=remedy) from error
    return buffer.getvalue()


def _decomposed(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """``program`` with known operators in place of unknown ones, where torch itself defines all of these by others."""
    import torch

    from bitsmith.frontends.torch.ops import is_known

    def is_unknown(operator: object) -> bool:
        known = is_known(getattr(operator, "__name__", "").partition(".")[0])
        return getattr(operator, "namespace", "") == "aten" and not known

    if not any(is_unknown(node.target) for node in program.graph.nodes):
        return program
    rules = {**torch._decomp.decomposition_table, **torch.export.default_decompositions().materialize()}
    rules = {operator: rule for operator, rule in rules.items() if is_unknown(operator)}
    with contextlib.suppress(Exception), torch.no_grad():  # a rule may meet what it cannot do
        known = program.run_decompositions(rules)
        return program if any(is_unknown(node.target) for node in known.graph.nodes) else known
    return program


def _export(
    module: torch.nn.Module, inputs: Sequence[torch.Tensor], samples: Sequence[int]
) -> torch.export.ExportedProgram:
    """``module`` exported for any number of samples, which are along the axes ``samples`` of the inputs, if it allows that."""
    import torch
    from torch._subclasses.fake_tensor import UnsupportedOperatorException
    from torch.fx.experimental.symbolic_shapes import is_concrete_int

    axes = torch.export.ShapesCollection()
    for x, axis in zip(inputs, samples, strict=True):
        axes[x] = {axis: torch.export.Dim.AUTO}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            program = check_choices(module, lambda: torch.export.export(module, tuple(inputs), dynamic_shapes=axes))
        except UnsupportedOperatorException:  # of open sizes
            if any(samples):
                raise
            return for_so_many(module, inputs)
        # The module's code may fix the number of samples of some inputs: then all have that of the example.
        places = (node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
        fixed = {is_concrete_int(node.meta["val"].shape[axis]) for node, axis in zip(places, samples, strict=True)}
        if fixed == {False}:
            return program
        if any(samples):
            raise UnsupportedError("a fixed number of samples, along other axes than the first")
        return for_so_many(module, inputs)


def module_results(module: torch.nn.Module, inputs: Sequence[npt.NDArray[np.generic]]) -> dict[str, Floats]:
    """Return torch's results for ``inputs``: by their paths, the results of the modules within that are called exactly once.

    Modules whose result is not a single tensor of real numbers are left out.
    """
    import torch

    seen: dict[str, list[object]] = {}
    hooks = (
        part.register_forward_hook(lambda _, __, result, path=path: seen.setdefault(path, []).append(result))
        for path, part in module.named_modules()
        if path
    )
    place = next(module.parameters(), torch.zeros(()))
    given = [torch.from_numpy(x).to(place.device) for x in map(np.ascontiguousarray, inputs)]
    with hooked(hooks), evaluating(module), torch.no_grad():
        module(*(x.to(place.dtype) if x.is_floating_point() else x for x in given))
    single = {path: results[0] for path, results in seen.items() if len(results) == 1}
    single = {path: getattr(result, "value", result) for path, result in single.items()}  # of Brevitas's own tensors
    return {
        path: result.detach().double().cpu().numpy()
        for path, result in single.items()
        if isinstance(result, torch.Tensor) and not result.is_complex()
    }


def module_weights(module: torch.nn.Module) -> dict[str, Floats]:
    """The elements of all parameters, by the module's path and the parameter's name: ``encoder.fc/weight``."""
    found = ((name.rpartition("."), values) for name, values in module.named_parameters())
    return {
        f"{path}/{own}" if path else own: values.detach().double().cpu().numpy().ravel()
        for (path, _, own), values in found
    }


@contextlib.contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """The module in evaluation mode, without fused operators, for the time of the context; its buffers are kept.

    Transformers do not look whether a mask is causal: that decides nothing but speed, and an export cannot follow it.
    """
    import torch
    from torch.nn.modules import transformer

    asked = transformer._detect_is_causal_mask
    training = {part: part.training for part in module.modules() if hasattr(part, "training")}  # frozen ones have none
    of_parts = [part._buffers for part in module.modules()]
    buffers = [(held, name, x, x.clone()) for held in of_parts for name, x in held.items() if x is not None]
    fused = torch.backends.mha.get_fastpath_enabled()
    # Of modules that were exported or frozen it is fixed.
    with contextlib.suppress(NotImplementedError, AttributeError):
        module.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    transformer._detect_is_causal_mask = lambda mask, is_causal=None, size=None: is_causal is True
    try:
        yield
    finally:
        transformer._detect_is_causal_mask = asked
        torch.backends.mha.set_fastpath_enabled(fused)
        for part, was in training.items():
            part.training = was
        with torch.no_grad():
            for held, name, x, values in buffers:
                held[name] = x.resize_(values.shape).copy_(values)


def _inputs(
    module: torch.nn.Module, examples: Sequence[Example] | None, shapes: InputShapes | None
) -> Iterator[tuple[list[torch.Tensor], tuple[int, ...]]]:
    """Inputs to export with, of two or more samples, and the axes of the samples.

    Where only shapes are given, first real numbers, then integers. Initial states of recurrent layers have their samples along
    the second axis, and so may all of their inputs: that is tried after the first.
    """
    import torch

    place = next(module.parameters(), torch.zeros(()))
    if examples is not None:
        batch = _tensors(examples, place)
        for axes in _axes_of_samples(module, [tuple(x.shape) for x in batch]):
            yield [torch.cat([x, x], axis) for x, axis in zip(batch, axes, strict=True)], axes
        return
    complete = sample_shapes(shapes, examples=True)
    if len(complete) == 1:
        _check_no_batch(module, complete[0], shapes, place)
    taken = {shape[0] for shape in complete[1:] if shape}  # of as many cells, samples would be seen along either axis
    count = next(number for number in range(2, 3 + len(taken)) if number not in taken)
    for dtype in (place.dtype if place.dtype.is_floating_point else torch.float32, torch.int64):
        for axes in _axes_of_samples(module, [(count, *shape) for shape in complete], of_samples=True):
            sizes = [(*shape[:axis], count, *shape[axis:]) for shape, axis in zip(complete, axes, strict=True)]
            yield [torch.zeros(size, dtype=dtype, device=place.device) for size in sizes], axes


def _tensors(examples: Sequence[Example], place: torch.Tensor) -> list[torch.Tensor]:
    """The user's examples as tensors on the device of ``place``, and in its precision where they have double precision."""
    import torch

    if (names := next((list(map(str, x)) for x in examples if isinstance(x, Mapping)), None)) is not None:
        raise ConfigError(
            f"an example that is a dictionary of {', '.join(names)}",
            accepted="tensors, one for each argument of forward()",
            remedy="give a module whose forward() takes the tensors, in their order, and calls yours with a dictionary",
        )
    try:
        batch = [x if isinstance(x, torch.Tensor) else torch.from_numpy(np.asarray(x)) for x in examples]
    except TypeError as error:
        raise ConfigError(f"an example without numbers ({error})", accepted="tensors or arrays of numbers") from None
    if not batch or any(x.ndim == 0 or len(x) == 0 for x in batch):
        raise ConfigError("an example without samples", accepted="tensors whose first axis counts samples")
    # Examples from numpy are in double precision more often than the module is.
    return [(x.to(place.dtype) if x.dtype == torch.float64 else x).to(place.device) for x in batch]


def _check_no_batch(module: torch.nn.Module, shape: Shape, asked: InputShapes | None, place: torch.Tensor) -> None:
    """Refuse a shape whose first axis may be that of the samples: the module takes samples without it, and hands it on."""
    import torch

    if isinstance(asked, int) or len(shape) < 2 or shape[0] != 1 or tuple(asked or ()) != shape:
        return
    dtype = place.dtype if place.dtype.is_floating_point else torch.float32
    try:
        with torch.no_grad():
            kept, left = (
                module(torch.zeros(size, dtype=dtype, device=place.device)) for size in ((2, *shape), (2, *shape[1:]))
            )
    except Exception:  # of the user's module
        return
    if getattr(kept, "shape", None) == (2, 1, *getattr(left, "shape", (2,))[1:]):
        raise ConfigError(
            f"the input shape {shape}, whose first axis may count samples: the module takes samples of {shape[1:]}, too",
            accepted=f"input_shape={shape[1:]}, or {(None, *shape)} if a sample has that axis",
        )


def _axes_of_samples(
    module: torch.nn.Module, shapes: Sequence[Shape], *, of_samples: bool = False
) -> Iterator[tuple[int, ...]]:
    """Return the axes on which the samples of inputs may be; ``of_samples`` says that they can be put anywhere."""
    import torch

    yield (0,) * len(shapes)
    if len(shapes) == 1 or not any(isinstance(part, torch.nn.RNNBase) for part in module.modules()):
        return
    for first in (0, 1) if of_samples else range(min(len(shapes[0]), 2)):
        deep = [of_samples or (len(shape) > 1 and shape[1:2] == shapes[0][first : first + 1]) for shape in shapes]
        axes = tuple(int(len(shape) > 2 and is_deep) for shape, is_deep in zip(shapes, deep, strict=True))
        yield (first, *axes[1:])
