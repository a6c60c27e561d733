"""PyTorch modules and operators of the user's own, by the user's translations.

For the time of an export each such module is one operator: what it computes is not traced, so that it may do anything.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING

from bitsmith.errors import ConfigError, UnsupportedError
from bitsmith.frontends.builder.builder import finite
from bitsmith.frontends.custom.call import Call, Table, Translate, operator_call, translated
from bitsmith.frontends.custom.tensor import Tensor
from bitsmith.frontends.torch.call import Call as Use
from bitsmith.frontends.torch.call import Result, Translation
from bitsmith.frontends.torch.graph import Argument, Node, Ref
from bitsmith.frontends.torch.hooks import hooked, replaced
from bitsmith.layers.layer import Floats, as_weights

if TYPE_CHECKING:
    import torch

OPERATOR = "bitsmith.layer"
"""Operator that a module of the user's own becomes in an exported program."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of a module: its tensors, its plain arguments by name, and its results."""

    given: tuple[torch.Tensor, ...]
    options: Mapping[str, object]
    results: tuple[torch.Tensor, ...]


@dataclass(slots=True)
class CustomModules:
    """The user's translations, and, by path, the live modules that they are for."""

    table: Table
    modules: dict[str, torch.nn.Module] = field(default_factory=dict)
    runs: dict[str, list[_Run]] = field(default_factory=dict)

    @contextlib.contextmanager
    def shown(self, module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> Iterator[None]:
        """``module`` with an operator for each of the user's own modules in it."""
        found = {path: part for path, part in module.named_modules() if self.table.of_object(part) is not None}
        self.modules = {
            path: part for path, part in found.items() if not any(path.startswith(f"{other}.") for other in found)
        }
        if not self.modules:
            yield
            return
        self.runs = _runs(module, inputs, self.modules)
        with contextlib.ExitStack() as stack:
            stack.enter_context(_results_of(self.runs))
            for path, runs in self.runs.items():
                part = self.modules[path]
                replaced(stack, part, "forward", _operator(path, part, runs))
            yield

    def translation(self, node: Node) -> Translation | None:
        """Return the user's translation of an operator; None if it is not among the user's."""
        if node.name == OPERATOR:
            return Translation(self._read_module, "what the user says")
        library, _, operator = node.name.partition(".")
        translate = self.table.named(f"{library}::{operator}") if operator else None
        return (
            None if translate is None else Translation(lambda use: _read_operator(translate, use), "what the user says")
        )

    def _read_module(self, use: Use) -> Result:
        path, number = use.text("path"), use.integer("call")
        if path not in self.runs or not 0 <= number < len(self.runs[path]):
            raise UnsupportedError(f"the module {path!r} of another model", accepted="live modules")
        module = self.modules[path]
        translate = self.table.of_object(module)
        assert translate is not None
        inputs = tuple(Tensor(use.build, x) for x in use.tensors("given"))

        def stored(parts: Sequence[str]) -> tuple[Floats, ...]:
            return tuple(finite(one, "a weight", path) for one in _weights(module, parts))

        options = self.runs[path][number].options
        return translated(translate, Call(inputs, options, module, use.build, stored, _no_part), path)


def _read_operator(translate: Translate, use: Use) -> Result:
    """The results of an operator that was added to PyTorch."""
    inputs: list[Tensor] = []
    options: dict[str, object] = {}
    for name, argument in use.node.arguments.items():
        if _is_tensors(argument):
            listed = argument if isinstance(argument, tuple) else (argument,)
            inputs += [Tensor(use.build, use.value(one, name)) for one in listed]
        else:
            options[name] = argument
    call = operator_call(tuple(inputs), options, use.build, "a PyTorch operator", use.node.name)
    return translated(translate, call, use.node.name)


def _is_tensors(argument: Argument) -> bool:
    return isinstance(argument, Ref) or (
        isinstance(argument, tuple) and bool(argument) and all(isinstance(one, Ref) for one in argument)
    )


def _no_part(name: str, operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    raise ConfigError(f"the sub-layer {name!r} of a PyTorch module", accepted="those of live layers of Keras")


def _runs(
    module: torch.nn.Module, inputs: Sequence[torch.Tensor], wanted: Mapping[str, torch.nn.Module]
) -> dict[str, list[_Run]]:
    """The calls of the modules, in order; none if the model does not take the inputs, which the export says."""
    import torch

    runs: dict[str, list[_Run]] = {}

    def record(path: str) -> Callable[..., None]:
        def hook(part: torch.nn.Module, args: tuple[object, ...], kwargs: dict[str, object], result: object) -> None:
            runs.setdefault(path, []).append(_run(path, part, args, kwargs, result))

        return hook

    hooks = (part.register_forward_hook(record(path), with_kwargs=True) for path, part in wanted.items())
    try:
        with hooked(hooks), torch.no_grad():
            module(*inputs)
    except UnsupportedError:
        raise
    except Exception:  # whatever the module's code raises
        return {}
    return runs


def _run(
    path: str, part: torch.nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object], result: object
) -> _Run:
    import torch

    results = tuple(result) if isinstance(result, tuple | list) else (result,)
    tensors, options = _parted(part, args, kwargs)
    samples = tensors[0].shape[:1] if tensors else ()
    kept = tuple(one for one in results if isinstance(one, torch.Tensor) and samples and one.shape[:1] == samples)
    if len(kept) != len(results):
        raise UnsupportedError(
            "a translated module with other results than tensors whose first axis counts samples", where=path
        )
    return _Run(tensors, options, kept)


def _parted(
    part: torch.nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[tuple[torch.Tensor, ...], dict[str, object]]:
    """The tensors among the arguments of ``forward``, lists of them opened, and the others by name."""
    import torch

    bound = inspect.signature(type(part).forward).bind(part, *args, **kwargs)
    bound.apply_defaults()
    tensors: list[torch.Tensor] = []  # proxies of tensors while torch.fx traces
    options: dict[str, object] = {}
    for name, value in list(bound.arguments.items())[1:]:
        listed = list(value) if isinstance(value, tuple | list) else [value]
        if listed and all(isinstance(one, torch.Tensor | torch.fx.Proxy) for one in listed):
            tensors += listed
        else:
            options[name] = value
    return tuple(tensors), options


def _weights(module: torch.nn.Module, parts: Sequence[str]) -> list[Floats]:
    """Own parameters and buffers, then those of the sub-modules."""
    tensors: list[Floats] = []
    for part in (module, *(module.get_submodule(name) for name in parts)):
        own = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
        tensors += [as_weights(one.detach().double().cpu().numpy()) for one in own]
    return tensors


def _operator(path: str, part: torch.nn.Module, runs: Sequence[_Run]) -> Callable[..., object]:
    """Return the stand-in for a module's ``forward`` while it is exported."""
    import torch

    numbers = cycle(range(len(runs)))
    single = len(runs[0].results) == 1

    def forward(*args: object, **kwargs: object) -> object:
        tensors, _ = _parted(part, args, kwargs)
        results = torch.ops.bitsmith.layer(list(tensors), path, next(numbers))
        return results[0] if single else tuple(results)

    return forward


_exporting: list[Mapping[str, Sequence[_Run]]] = []
"""The calls of the modules of the export that is going on."""


@contextlib.contextmanager
def _results_of(runs: Mapping[str, Sequence[_Run]]) -> Iterator[None]:
    """The operator knows its results from ``runs`` for the time of the context."""
    _library()
    _exporting.append(runs)
    try:
        yield
    finally:
        _exporting.pop()


@functools.cache
def _library() -> torch.library.Library:
    """The operator, which is defined as long as what this returns exists."""
    import torch

    library = torch.library.Library("bitsmith", "FRAGMENT")
    library.define("layer(Tensor[] given, str path, int call) -> Tensor[]")
    torch.library.register_fake("bitsmith::layer", _shapes, lib=library)
    return library


def _shapes(given: Sequence[torch.Tensor], path: str, call: int) -> list[torch.Tensor]:
    """Results of the shapes and types that the module gave, for as many samples as its operands have."""
    results = _exporting[-1][path][call].results
    return [given[0].new_empty((given[0].shape[0], *one.shape[1:]), dtype=one.dtype) for one in results]
