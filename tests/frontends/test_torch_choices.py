"""Python code that chooses: by the number of samples, by settings, by data. What an export sees is one side."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_samples import doubled_if_many

import bitsmith
from bitsmith.errors import ConfigError, FidelityWarning, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.torch.archive import open_archive
from bitsmith.frontends.torch.choices import for_so_many
from bitsmith.frontends.torch.graph import read_graph
from bitsmith.frontends.torch.guards import check_guards
from bitsmith.frontends.torch.live import saved
from bitsmith.frontends.torch.read import read_torch

Forward = Callable[["Chosen", torch.Tensor], torch.Tensor]


class Chosen(torch.nn.Module):
    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.fc, self.own = torch.nn.Linear(4, 3), forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.own(self, x)


def single(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    if x.shape[0] == 1:
        return self.fc(x) * 2
    return self.fc(x)


def length(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * 2 if len(x) > 1000 else self.fc(x)


def even(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * 2 if x.size(0) % 2 == 0 else self.fc(x)


def of_one_size(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    if x.shape[0] == 64:
        return self.fc(x).view(64, 3, 1).flatten(1) * 2
    return self.fc(x)


def elsewhere(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return doubled_if_many(self.fc(x))


@pytest.mark.parametrize("forward", [single, length, even, of_one_size, elsewhere])
def test_a_choice_by_the_number_of_samples_is_refused_with_its_line(forward: Forward) -> None:
    line = r"a choice by the number of samples \((test_torch_choices|torch_samples)\.py, line \d+: (if|return) "
    with pytest.raises(UnsupportedError, match=line):
        bitsmith.convert(Chosen(forward), input_shape=(4,))


def checked(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    assert x.shape[0] > 0
    if x.shape[0] > 4096:
        raise ValueError("too many")
    return self.fc(x)


def alike(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x.reshape(x.shape if x.shape[0] > 1 else (len(x), 4)))


def by_size(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * 2 if x.shape[1] == 4 and x.ndim == 2 else self.fc(x)


def by_mode(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * 2 if self.training else self.fc(x)


def by_length(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x).view(len(x), -1)


@pytest.mark.parametrize("forward", [checked, alike, by_size, by_mode, by_length])
def test_other_choices_are_not(forward: Forward) -> None:
    module, x = Chosen(forward), torch.randn(9, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = bitsmith.convert(module, input_shape=(4,))
    assert module.training
    wanted = module.eval()(x).detach().numpy()
    np.testing.assert_allclose(model.predict(x.numpy()), wanted, atol=5e-3)
    assert len([1, 2]) == 2 and len(x) == 9  # Python's own


def by_integer(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * 2 if int(x.shape[0]) == 1 else self.fc(x)


def rounds(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    y = self.fc(x)
    for _ in range(x.shape[0]):
        y = y + 1
    return y


def by_large_integer(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * 2 if int(x.shape[0]) > 50 else self.fc(x)


def divided(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) / len(list(x.shape) + [0] * int(x.shape[0]))


@pytest.mark.parametrize("forward", [by_integer, rounds, divided])
@pytest.mark.parametrize("example", [False, True])
def test_values_of_the_number_of_samples_as_an_integer_are_refused(forward: Forward, example: bool) -> None:
    given = {"example": torch.randn(1, 4)} if example else {"input_shape": (4,)}
    with pytest.raises(UnsupportedError, match="values that are computed by the number of samples"):
        bitsmith.convert(Chosen(forward), **given, check=False)


def viewed(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x).view(int(x.shape[0]), 3, 1).flatten(1)


def test_a_shape_of_the_number_of_samples_as_an_integer_is_read() -> None:
    module = Chosen(viewed)
    x = torch.randn(9, 4)
    found = bitsmith.convert(module, input_shape=(4,), check=False).predict(x.numpy())
    np.testing.assert_allclose(found, module(x).detach().numpy(), atol=2e-2)


def test_other_numbers_of_samples_need_no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export takes hundreds of times as long as the module itself."""
    export, counts = torch.export.export, list[int]()

    def counted(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.export.ExportedProgram:
        counts.append(len(inputs[0]))
        return export(module, inputs)

    monkeypatch.setattr(torch.export, "export", counted)
    for_so_many(Chosen(viewed).eval(), [torch.zeros(3, 4)])
    with pytest.raises(UnsupportedError, match="values that are computed by the number of samples"):
        for_so_many(Chosen(by_share).eval(), [torch.zeros(3, 4)])
    assert counts == [3, 3]


def while_exported(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * 2 if torch.compiler.is_exporting() else self.fc(x)


def by_calls(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    self.calls = getattr(self, "calls", 0) + 1
    return self.fc(x) * self.calls


@pytest.mark.parametrize(
    ("forward", "told"),
    [
        (by_calls, "PyTorch computes other results at each call: 100 %.*neither counts its calls"),
        (by_large_integer, "PyTorch computes other results for one sample alone than beside others"),
        (while_exported, "its float meaning differs from what PyTorch computes"),
    ],
)
def test_what_an_export_cannot_see_is_told_by_comparison(forward: Forward, told: str) -> None:
    with pytest.warns(FidelityWarning, match=told):
        bitsmith.convert(Chosen(forward), input_shape=(4,))


def by_data(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * 2 if x.sum() > 0 else self.fc(x)


def test_a_choice_by_data_is_refused_with_its_line() -> None:
    with pytest.raises(UnsupportedError, match=r"depends on the data \(test_torch_choices\.py, line \d+: return self"):
        bitsmith.convert(Chosen(by_data), input_shape=(4,))


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ([torch.nn.LazyLinear(3)], r"0 \(LazyLinear\)"),
        ([torch.nn.Linear(4, 4), torch.nn.LazyBatchNorm1d()], r"1 \(LazyBatchNorm1d\)"),
    ],
)
def test_lazy_layers_get_no_random_weights(layers: Sequence[torch.nn.Module], named: str) -> None:
    module = torch.nn.Sequential(*layers)
    with pytest.raises(ConfigError, match=rf"layers without weights: {named}(.|\n)*call it once with a sample"):
        bitsmith.convert(module, input_shape=(4,))
    module(torch.randn(5, 4))
    x = torch.randn(9, 4)
    wanted = module.eval()(x).detach().numpy()
    np.testing.assert_allclose(bitsmith.convert(module, input_shape=(4,)).predict(x.numpy()), wanted, atol=2e-2)


def checked_alone(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    assert x.shape[0] < 1000
    return self.fc(x)


def of_tensors(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return torch.where(torch.tensor(x.shape[0] > 4), self.fc(x) * 2, self.fc(x))


def over(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * 2 if x.shape[0] > 10 else self.fc(x)


def filled(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) + torch.full((3,), x.shape[0])


def as_tensor(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) / torch.tensor(x.shape[0])


def by_share(self: Chosen, x: torch.Tensor) -> torch.Tensor:
    return self.fc(x) * (1 / int(x.shape[0]))


def program(forward: Forward, count: int, *, is_open: bool) -> torch.export.ExportedProgram:
    sizes = ({0: torch.export.Dim.AUTO},) if is_open else None
    return torch.export.export(Chosen(forward).eval(), (torch.randn(count, 4),), dynamic_shapes=sizes)


@pytest.mark.parametrize(
    ("forward", "count", "why"),
    [
        (over, 20, r"size\(\)\[0\] > 10.*not for one: its code chooses by the number of samples"),
        (even, 4, r"% 2\) == 0.*not for one"),
        (of_tensors, 4, "a choice by the number of samples"),
    ],
)
def test_a_program_that_chose_by_the_number_of_samples_is_refused(forward: Forward, count: int, why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        read_torch(program(forward, count, is_open=True))


@pytest.mark.parametrize(("forward", "why"), [(over, "<= 10"), (checked_alone, "< 1000"), (rounds, "== 4")])
def test_a_program_for_some_numbers_of_samples_is_told(forward: Forward, why: str) -> None:
    with pytest.warns(FidelityWarning, match=f"holds for some numbers of samples only.*{why}"):
        read_torch(program(forward, 4, is_open=True))


@pytest.mark.parametrize("forward", [filled, as_tensor, by_share])
def test_the_number_of_samples_as_a_constant_of_a_program_is_told(forward: Forward) -> None:
    with pytest.warns(FidelityWarning, match=r"exported for 4 samples, and may compute with that number: \w+\."):
        read_torch(program(forward, 4, is_open=False))
    for count in (1, 3):  # that of the shape (3,) is none
        read_torch(program(viewed, count, is_open=False))


class Computed(torch.nn.Module):
    """Sums of a layer, and of numbers of which line ``chosen`` computes some."""

    def __init__(self, chosen: int) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)
        self.chosen = chosen
        self.slope = 0.3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, root, less = self.fc(x), x.shape[0] ** 0.5, len(x) - 1
        if self.chosen == 0:
            return y * root
        if self.chosen == 1:
            return y / less
        if self.chosen == 2:
            return y * math.log(x.size(0))
        if self.chosen == 3:
            return y + 1 / y.numel()
        if self.chosen == 4:
            return y * 4 - 0.5 + 3 * y
        return torch.nn.functional.leaky_relu(y, 0.25) * self.slope + torch.nn.functional.hardsigmoid(y)


@pytest.mark.parametrize("chosen", range(6))
def test_what_is_computed_of_the_number_of_samples_is_told_and_numbers_of_the_code_are_not(chosen: int) -> None:
    exported = torch.export.export(Computed(chosen).eval(), (torch.randn(4, 4),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch calls what it deprecates
        decomposed = exported.run_decompositions()
    for form in (exported, decomposed):  # of which hardsigmoid adds 3, and not the code
        with pytest.warns(FidelityWarning, match="may compute with that number") if chosen < 4 else nullcontext():
            read_torch(form)


def test_guards_that_nobody_understands_are_refused() -> None:
    """Those of other sizes say nothing of the samples."""
    graph = read_graph(open_archive(saved(program(even, 4, is_open=True)), "here"))
    for guard in ("L['x'].size()[1] == 4", "not L['x'].size()[0] + -1 < 0 or 1 > 2"):
        check_guards(replace(graph, guards=(guard,)), "here")
    for guard in (
        "f(L['x'].size()[0])",
        "L['x'].size()[0] ** 2 > 0",
        "(" * 300 + "L['x'].size()[0]",
        "1 % 0 or L['x'].size()[0]",
    ):
        with pytest.raises(UnsupportedError, match="for some numbers of samples only"):
            check_guards(replace(graph, guards=(guard,)), "here")


def test_a_script_that_chooses_by_the_number_of_samples_is_told_by_comparison() -> None:
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        script = torch.jit.script(Scripted())
    with pytest.warns(FidelityWarning, match="PyTorch computes other results for one sample alone"):
        bitsmith.convert(script, input_shape=(4,))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("count", [1, 2])
def test_a_script_that_chooses_between_one_sample_and_several_is_refused(count: int) -> None:
    for part in (ScriptedForOne(count), torch.nn.Sequential(torch.nn.BatchNorm1d(4), ScriptedForOne(count))):
        with pytest.raises(UnsupportedError, match="computed by the number of samples"):
            read_torch(torch.jit.script(part.eval()), ReadOptions(input_shape=(4,)))
    traced = torch.jit.trace(ScriptedForOne(count), torch.zeros(1, 4))  # which holds for any number
    read_torch(traced, ReadOptions(input_shape=(4,)))


class ScriptedForOne(torch.nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] == self.count:
            x = x * 2
        return x


class Scripted(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.fc(x)
        if x.shape[0] > 10:
            y = y * 2
        return y
