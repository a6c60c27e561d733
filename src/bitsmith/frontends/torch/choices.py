"""Choices that a module's code makes by the number of samples, of which one export sees one side.

torch exports a module for any number of samples, and runs its code once. There the number is a symbol, so that Python asks a
symbol for a truth value wherever the code chooses. Each line that does is taken the other way in an export of its own.
"""

from __future__ import annotations

import contextlib
import copy
import dis
import linecache
import sys
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.known import BY_SAMPLES

if TYPE_CHECKING:
    import torch

_DIFFERENCE = 1e-3
"""Greatest difference of results for the same sample, as a share of the greatest result: sums have other orders."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file."""

    file: str
    number: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}, line {self.number}: {linecache.getline(self.file, self.number).strip()}"


@dataclass(slots=True)
class Choices:
    """The lines outside of torch that choose by a symbol; those at ``inverted`` go the other way.

    Lengths of tensors are integers, of which nothing is seen but the ``files`` that ask for them, by their global names. In files
    of ``symbolic`` lengths they are symbols.
    """

    inverted: Line | None = None
    symbolic: Sequence[dict[str, object]] = ()
    files: dict[int, dict[str, object]] = field(default_factory=dict)
    lines: dict[Line, None] = field(default_factory=dict)

    def taken(self, line: Line, *, truth: bool) -> bool:
        """Return the side that the code goes on with."""
        self.lines[line] = None
        return truth is not (line == self.inverted)


@contextlib.contextmanager
def watching(choices: Choices) -> Iterator[None]:
    """Tell ``choices`` of each symbol that Python asks for a truth value, and of lengths of tensors."""
    import torch

    asked = torch.SymBool.__bool__
    length: Callable[[torch.Tensor], int] = torch.Tensor.__len__

    def truth(symbol: torch.SymBool) -> bool:
        result, caller = bool(asked(symbol)), sys._getframe(1)
        if _is_of_torch(caller):
            return result
        return choices.taken(Line(caller.f_code.co_filename, caller.f_lineno), truth=result)

    def counted(tensor: torch.Tensor) -> int:
        caller = sys._getframe(1)
        if tensor.ndim and not _is_of_torch(caller):
            choices.files[id(caller.f_globals)] = caller.f_globals
        return length(tensor)

    def size(sized: Sized) -> object:
        return sized.shape[0] if isinstance(sized, torch.Tensor) and sized.ndim else len(sized)

    own = [names for names in choices.symbolic if "len" not in names]
    torch.SymBool.__bool__, torch.Tensor.__len__ = truth, counted
    for names in own:
        names["len"] = size
    try:
        yield
    finally:
        torch.SymBool.__bool__, torch.Tensor.__len__ = asked, length
        for names in own:
            del names["len"]


def check_choices(
    module: torch.nn.Module, export: Callable[[], torch.export.ExportedProgram]
) -> torch.export.ExportedProgram:
    """The result of ``export``, if no choice by the number of samples changes it.

    Choices between a program and an error of the module's own are checks, which change nothing.

    Raises:
        UnsupportedError: the other side of a choice is another program.
    """
    choices = Choices()
    with watching(choices):
        program = seen = export()
    forwards = (getattr(type(part), "forward", None) for part in module.modules())
    own = (names for forward in forwards if (names := getattr(forward, "__globals__", None)) is not None)
    files = {id(names): names for names in own if not str(names.get("__name__")).startswith("torch.")}
    symbolic = [*{**files, **choices.files}.values()]
    if choices.files:
        open_lengths = Choices(symbolic=symbolic)
        with contextlib.suppress(Exception), watching(open_lengths):  # of the module's code, or of torch
            seen, choices = export(), open_lengths
    for line in choices.lines:
        try:
            with watching(Choices(line, symbolic)):
                same = _text(export()) == _text(seen)
        except Exception as error:  # as above
            same = _is_raised(error)
        if not same:
            raise UnsupportedError(f"a choice {BY_SAMPLES[0]} ({line})")
    return program


def for_so_many(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> torch.export.ExportedProgram:
    """``module`` exported for as many samples as ``inputs`` have along their first axes, if others give the same results.

    Code that makes integers of their number fixes it, perhaps for a shape alone.

    Raises:
        UnsupportedError: results for the same samples differ.
    """
    import torch

    program = torch.export.export(module, tuple(x.clone() for x in inputs))
    check_numbers(module, program.module(), inputs)
    return program


def check_numbers(module: torch.nn.Module, program: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> None:
    """Refuse a ``program`` for as many samples as ``inputs`` have, if the module computes others for another number of them.

    Raises:
        UnsupportedError: results for the same samples differ.
    """
    import torch

    drawn, count = torch.Generator().manual_seed(0), len(inputs[0])
    first = [
        torch.randn(x.shape, generator=drawn).to(x) if x.is_floating_point() and not x.any() else x for x in inputs
    ]
    wanted = _results(program, first)
    beside = [torch.cat([x[1:].flip(0), torch.zeros_like(x[:1])]) for x in first]  # without the first, in another order
    moved = zip(wanted, _results(program, beside), strict=True)
    if not all(
        _is_same(x[1:].flip(0), y[:-1]) for x, y in moved
    ):  # of random numbers or mixed samples, refused as such
        return
    for rows in ([0], [*range(1, count), *range(count)]):
        try:
            results = _results(module, [x[rows] for x in first])
        except Exception:  # of code that takes no other number
            continue
        if not all(map(_is_same, (x[rows] for x in wanted), results)):
            raise UnsupportedError(f"values that are computed {BY_SAMPLES[0]}")


def _results(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The module's real results, with an axis of samples in front; its buffers stay as they are."""
    import torch

    taken = tuple(x.clone() for x in inputs)
    if isinstance(module, torch.jit.ScriptModule):
        results = copy.deepcopy(module)(*taken)
    else:
        buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
        results = torch.func.functional_call(module, buffers, taken)
    leaves = torch.utils._pytree.tree_leaves(results)
    return [x.detach().double() for x in leaves if isinstance(x, torch.Tensor) and x.ndim and not x.is_complex()]


def _is_same(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Return True for equal numbers, but for rounding."""
    least = _DIFFERENCE * float(x.abs().max()) if x.numel() else 0.0
    return x.shape == y.shape and bool(x.allclose(y, _DIFFERENCE, least, equal_nan=True))


def _text(program: torch.export.ExportedProgram) -> str:
    return str(program.graph_module.code) + str(program.constants)


def _is_raised(error: BaseException) -> bool:
    """Return True if ``error`` comes from a ``raise`` or an ``assert`` outside of torch."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or _is_of_torch(trace.tb_frame):
        return False
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _is_of_torch(frame: FrameType) -> bool:
    import torch

    return frame.f_code.co_filename.startswith(str(Path(torch.__file__).parent))
