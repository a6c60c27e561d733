"""Modules of snnTorch, spike for spike: the states of both sides are rounded to one grid."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.properties import few

import bitsmith
from bitsmith.errors import ConfigError, UnsupportedError
from bitsmith.fidelity.shortfall import Expected, deviating
from bitsmith.layers.layer import as_weights
from bitsmith.layers.spiking import Neurons, Reset

torch = pytest.importorskip("torch")
snntorch = pytest.importorskip("snntorch")

STEPS, FRAC = 50, 8
PRECISION = {"LayerType": {"Neurons": {"Precision": dict.fromkeys(("state", "current"), "fixed<24,16,RND,SAT>")}}}
RESETS = (
    {},
    {"reset_mechanism": "zero"},
    {"reset_mechanism": "none"},
    {"reset_mechanism": "zero", "reset_delay": False},
)

Array = npt.NDArray[np.float64]


def quantized(state: Any) -> Any:
    return torch.floor(state * 2**FRAC + 0.5) / 2**FRAC


def leaky(units: int, **options: Any) -> Any:
    return snntorch.Leaky(beta=0.875, **options)


def each_leaky(units: int, **options: Any) -> Any:
    beta, threshold = torch.arange(1, units + 1) / 16, torch.arange(units) / 8 + 0.5
    return snntorch.Leaky(beta=beta, threshold=threshold, **options)


def synaptic(units: int, **options: Any) -> Any:
    return snntorch.Synaptic(alpha=0.5, beta=0.75, **options)


def recurrent(units: int, **options: Any) -> Any:
    return snntorch.RLeaky(beta=0.875, linear_features=units, **options)


def one_to_one(units: int, **options: Any) -> Any:
    return snntorch.RLeaky(beta=0.5, all_to_all=False, V=torch.arange(units) / 8 - 0.25, **options)


def recurrent_synaptic(units: int, **options: Any) -> Any:
    return snntorch.RSynaptic(alpha=0.5, beta=0.875, linear_features=units, **options)


def lapicque(units: int, **options: Any) -> Any:
    return snntorch.Lapicque(R=4.0, C=2.0, **options)


KINDS = (leaky, each_leaky, synaptic, recurrent, one_to_one, recurrent_synaptic, lapicque)


def on_grid(module: Any, rng: np.random.Generator) -> Any:
    """The module with weights in sixteenths, so that single precision computes without rounding."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.tensor(rng.integers(-24, 25, parameter.shape) / 16))
    return module.eval()


def network(kind: Callable[..., Any], seed: int, **options: Any) -> Any:
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs = (int(size) for size in rng.integers(2, 9, 3))
    options = {"init_hidden": True, "state_quant": quantized, **options}
    return on_grid(
        torch.nn.Sequential(
            torch.nn.Linear(inputs, hidden),
            kind(hidden, **options),
            torch.nn.Linear(hidden, outputs, bias=bool(seed % 2)),
            kind(outputs, output=True, **options),
        ),
        rng,
    )


def spikes(module: Any, x: Array) -> Array:
    """What the module gives, step by step."""
    for layer in module.modules():
        for state in ("mem", "syn", "spk"):
            if hasattr(layer, state) and type(layer).__module__.startswith("snntorch"):
                setattr(layer, state, torch.zeros(0))
    with torch.no_grad():
        steps = [module(step) for step in torch.tensor(x, dtype=torch.float32).transpose(0, 1)]
    stacked: Array = torch.stack([step[0] if isinstance(step, tuple) else step for step in steps], 1).double().numpy()
    return stacked


def bits(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 2, shape).astype(np.float64)


def converted(module: Any, shape: tuple[int, ...], x: Array, **options: Any) -> bitsmith.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that states are quantized by a function
        return bitsmith.convert(module, input_shape=shape, calibration=x, config=PRECISION, **options)


def check(kind: Callable[..., Any], options: dict[str, Any], seed: int) -> None:
    module = network(kind, seed, **options)
    x = bits((12, STEPS, module[0].in_features), seed)
    model = converted(module, x.shape[1:], x[:4], check=False)
    np.testing.assert_array_equal(model.predict(x), spikes(module, x))


@pytest.mark.parametrize("kind", KINDS)
def test_spikes_are_those_of_snntorch(kind: Callable[..., Any]) -> None:
    check(kind, RESETS[KINDS.index(kind) % 3], KINDS.index(kind))


@pytest.mark.slow
@pytest.mark.ci
# The float model does not quantize the states, which a function does here.
@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")
@pytest.mark.parametrize("seed", range(100))
def test_spikes_of_random_networks(seed: int) -> None:
    kind, options = KINDS[seed % len(KINDS)], RESETS[seed // len(KINDS) % len(RESETS)]
    if kind in (recurrent_synaptic, lapicque) and "reset_delay" in options:
        options = {}  # snnTorch 1.0 itself fails, or has no such option
    check(kind, options, seed)


def test_convolutions_and_graded_spikes() -> None:
    rng = np.random.default_rng(0)
    module = on_grid(
        torch.nn.Sequential(
            torch.nn.Conv2d(2, 3, 3, padding=1),
            torch.nn.MaxPool2d(2),
            snntorch.Leaky(beta=0.5, init_hidden=True, state_quant=quantized, graded_spikes_factor=0.5),
            torch.nn.Flatten(),
            torch.nn.Dropout(),
            torch.nn.Linear(12, 4),
            snntorch.Leaky(beta=0.75, init_hidden=True, state_quant=quantized, reset_mechanism="zero"),
        ),
        rng,
    )
    x = bits((6, 10, 2, 4, 4))
    np.testing.assert_array_equal(converted(module, (10, 2, 4, 4), x).predict(x), spikes(module, x))


def test_each_sample_is_a_step_without_an_axis_of_time() -> None:
    module = network(recurrent, 3)
    x = bits((2, 30, module[0].in_features))
    model = converted(module, x.shape[2:], x[0])
    wanted = spikes(module, x)
    for frames, expected in zip(x, wanted, strict=True):
        model.reset_states()
        np.testing.assert_array_equal(model.predict(frames[:7]), expected[:7])
        np.testing.assert_array_equal(model.predict(frames[7:]), expected[7:])
    assert model.fidelity.agreement.error == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_stream_step_by_step(kind: Callable[..., Any]) -> None:
    module = network(kind, KINDS.index(kind), **RESETS[KINDS.index(kind) % 3])
    x = bits((3, STEPS, module[0].in_features))
    stream = bitsmith.streamed(converted(module, x.shape[1:], x, check=False))
    for sequence, expected in zip(x, spikes(module, x), strict=True):
        stream.reset_states()
        np.testing.assert_array_equal(stream.predict(sequence[:, None])[:, 0], expected)


def test_convolutions_stream_step_by_step() -> None:
    neuron = snntorch.Leaky(beta=0.5, init_hidden=True, state_quant=quantized)
    rest = (
        torch.nn.Flatten(),
        torch.nn.Linear(12, 3),
        snntorch.Leaky(beta=0.75, init_hidden=True, state_quant=quantized),
    )
    module = on_grid(
        torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3, padding=1), torch.nn.AvgPool2d(2), neuron, *rest),
        np.random.default_rng(0),
    )
    x = bits((2, 10, 1, 4, 4))
    stream = bitsmith.streamed(converted(module, x.shape[1:], x, check=False))
    for sequence, expected in zip(x, spikes(module, x), strict=True):
        stream.reset_states()
        np.testing.assert_array_equal(stream.predict(sequence[:, None])[:, 0], expected)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("kind", (leaky, recurrent_synaptic))
@pytest.mark.parametrize("timed", (True, False))
def test_circuits_wait_and_begin_anew(tmp_path: Path, kind: Callable[..., Any], timed: bool) -> None:
    module = network(kind, 5)
    x = bits((8, 12, module[0].in_features))
    model = converted(module, x.shape[1:] if timed else x.shape[2:], x if timed else x[0], output_dir=tmp_path)
    report = model.build(inputs=x if timed else x[0], synth=False)
    assert report["Verification"]["Mismatches"] == 0


def test_a_live_module_is_left_as_it_was() -> None:
    module = network(leaky, 1)
    module(torch.zeros(1, module[0].in_features))
    before = module[1].mem.clone()
    x = bits((3, STEPS, module[0].in_features))
    assert converted(module, x.shape[1:], x).fidelity.agreement.framework == "snnTorch"
    assert torch.equal(module[1].mem, before)


@pytest.mark.parametrize(
    ("options", "message"),
    (
        ({"reset_delay": False}, "reset_mechanism='subtract' with reset_delay=False"),
        ({"threshold": -1.0}, "a threshold below 0"),
        ({"inhibition": True}, "inhibition"),
    ),
)
def test_neurons_that_are_rejected(options: dict[str, Any], message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.nn.Sequential(torch.nn.Linear(2, 3), snntorch.Leaky(beta=0.5, init_hidden=True, **options))
    with pytest.raises(UnsupportedError, match=message):
        bitsmith.convert(module, input_shape=(5, 2))


@pytest.mark.parametrize("options", [{"padding": 1, "padding_mode": "circular"}, {"padding": "same"}])
def test_padding_other_than_numbers_of_zeros_is_rejected(options: dict[str, Any]) -> None:
    neuron = snntorch.Leaky(beta=0.5, init_hidden=True)
    with pytest.raises(UnsupportedError, match="numbers of zeros"):
        bitsmith.convert(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, **options), neuron), input_shape=(4, 1, 5, 5))


def test_layers_have_the_names_of_their_modules() -> None:
    neuron = snntorch.Leaky(beta=0.5, init_hidden=True)
    named = [("first", torch.nn.Linear(2, 3)), ("spikes", neuron)]
    model = bitsmith.convert(torch.nn.Sequential(OrderedDict(named)), input_shape=(5, 2), check=False)
    names = {node.name: node.source for node in model.network.nodes}
    assert names["first"] == "Linear" and "spikes" in names


def test_modules_that_are_rejected() -> None:
    class Loop(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.neuron = snntorch.Leaky(beta=0.5)

    with pytest.raises(UnsupportedError, match="whose loop over time is its own"):
        bitsmith.convert(Loop(), input_shape=(5, 2))
    neuron = snntorch.Leaky(beta=0.5, init_hidden=True)
    with pytest.raises(UnsupportedError, match="the layer Softmax"):
        bitsmith.convert(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Softmax(-1), neuron), input_shape=(5, 2))
    with pytest.raises(ConfigError, match="time and 1 axes"):
        bitsmith.convert(torch.nn.Sequential(torch.nn.Linear(2, 2), neuron), input_shape=(4, 4, 2))


def test_single_spikes_that_differ_are_no_alarm() -> None:
    """Membranes of 16 bits next to the threshold: the rate of spikes is right."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(16, 32),
        snntorch.Leaky(beta=0.9, init_hidden=True),
        torch.nn.Linear(32, 4),
        snntorch.Leaky(beta=0.95, init_hidden=True, output=True),
    )
    x = bits((100, 25, 16))
    model = bitsmith.convert(module, input_shape=(25, 16), calibration=x)  # warnings are errors in tests
    wrong = model.predict(x) != spikes(module, x)
    assert wrong.mean() < 0.01
    assert not model.fidelity.problems


def _stream(seed: int) -> tuple[bitsmith.Model, Array]:
    """A stream's circuit, and 400 steps of its input."""
    torch.manual_seed(seed)
    module = torch.nn.Sequential(
        torch.nn.Linear(16, 24),
        snntorch.Leaky(beta=0.9, init_hidden=True),
        torch.nn.Linear(24, 5),
        snntorch.Leaky(beta=0.95, init_hidden=True, output=True),
    )
    with torch.no_grad():
        for layer in module[::2]:
            layer.weight.mul_(2)
    x = np.random.default_rng(seed).integers(0, 2, (400, 16)).astype(np.float64)
    return bitsmith.convert(module, input_shape=(16,), calibration=x[:100], check=False), x


@few("seed", [17, 6, 12, 18, 39, *range(60, 80)], 1)
def test_spikes_that_move_others_in_a_stream_are_no_alarm(seed: int) -> None:
    """A membrane beside the threshold is a state, so that up to an eighth of the later spikes moves."""
    model, x = _stream(seed)
    found = model.predict(x)  # warnings are errors in tests
    wanted = model.network.evaluate([x])[model.network.outputs[0]].reshape(found.shape)
    assert (found != wanted).mean() < 0.2
    assert model.fidelity.summary.startswith("fidelity: 3_leaky ")


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("changed", [{"reset": Reset.NONE}, {"decay": as_weights(0.6)}, {"threshold": as_weights(1.5)}])
def test_other_neurons_than_those_of_a_stream_are_an_alarm(changed: dict[str, Any]) -> None:
    """All but those of a stream in which a single spike moves as many."""
    alarms = 0
    for seed in range(6):
        model, x = _stream(seed)
        first, node = next((k, node) for k, node in enumerate(model.network.nodes) if isinstance(node.layer, Neurons))
        other = replace(node, layer=replace(node.layer, **changed))
        network = model.network.with_nodes([*model.network.nodes[:first], other, *model.network.nodes[first + 1 :]])
        others = Expected.of(network, [x[:128]]).outputs
        alarms += deviating(Expected.of(model.network, [x[:128]]), others).wrong
    assert alarms >= 5


def test_neurons_say_how_many_they_are_and_what_they_remember() -> None:
    module = network(recurrent_synaptic, 5)
    x = bits((2, 20, module[0].in_features))
    model = converted(module, x.shape[1:], x, check=False)
    told = [note for note in model.notes if "neurons" in note]
    for note, layer in zip(told, (module[0], module[2]), strict=True):
        count = layer.out_features
        assert f"{count} neurons that leak and fire, in 20 time steps for each sample; {3 * count} states:" in note
        assert "the membrane and the current of the synapse and the spike that comes back of each" in note
    shown = "".join(str(model).split())
    assert all("".join(note.split()) in shown for note in told)
