"""Recurrent layers: against formulas of the test's own, in all executions, in the user's formats and in those of auto."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import RangeError, UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Identity
from bitsmith.layers.softmax import Softmax
from bitsmith.plan.devices import Family
from bitsmith.plan.estimate import estimate
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import INPUT, network_of, run

Floats = npt.NDArray[np.float64]
NARROW = FixedFormat(True, 5, 3, Rounding.RND, Overflow.SAT)


def logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


FUNCTIONS = {
    "tanh": (Activation("tanh"), np.tanh),
    "sigmoid": (Activation("sigmoid"), logistic),
    "hard_sigmoid": (HardActivation(0.25, 0.5, 0.0, 1.0), lambda x: np.clip(x / 4 + 0.5, 0, 1)),
    "relu6": (ReLU(6.0), lambda x: np.clip(x, 0, 6)),
    "softsign": (Activation("softsign"), lambda x: x / (1 + np.abs(x))),
}


def made(kind: type[Recurrent], channels: int, units: int, seed: int, **fields: object) -> Recurrent:
    """A layer with random weights of few bits."""
    rng = np.random.default_rng(seed)
    columns = kind.gates * units

    def drawn(*shape: int) -> Floats:
        return as_weights(rng.integers(-8, 9, shape) / 8.0)

    biases = {name: drawn(columns) for name in ("bias", "recurrent_bias") if rng.random() < 0.6}
    return kind(drawn(channels, columns), drawn(units, columns), **{**biases, **fields})  # type: ignore[arg-type]


def expected(layer: Recurrent, names: tuple[str, str], inputs: list[Floats]) -> Floats:
    """The layer's result by loops over samples and steps."""
    act, gate = (FUNCTIONS[name][1] for name in names)
    rows = []
    for sample in range(len(inputs[0])):
        x = inputs[0][sample][::-1] if layer.go_backwards else inputs[0][sample]
        h = inputs[1][sample] if len(inputs) > 1 else np.zeros(layer.units)
        c = inputs[2][sample] if len(inputs) > 2 else np.zeros(layer.units)
        bias = 0.0 if layer.bias is None else layer.bias
        late = np.zeros(layer.kernel.shape[1]) if layer.recurrent_bias is None else layer.recurrent_bias
        steps = []
        for now in x:
            a, b = now @ layer.kernel + bias, h @ layer.recurrent_kernel + late
            match layer:
                case LSTM():
                    i, f, g, o = np.split(a + b, 4)
                    c = gate(f) * c + gate(i) * act(g)
                    h = gate(o) * act(c)
                case GRU():
                    u = layer.units
                    z, r = gate(a[:u] + b[:u]), gate(a[u : 2 * u] + b[u : 2 * u])
                    inner = r * b[2 * u :] if layer.reset_after else (r * h) @ layer.recurrent_kernel[:, 2 * u :] + late[2 * u :]
                    h = z * h + (1 - z) * act(a[2 * u :] + inner)
                case _:
                    h = act(a + b)
            steps.append(h)
        if isinstance(layer, LSTM) and layer.of_cell:
            rows.append(c)
        elif layer.return_sequences:
            rows.append(np.stack(steps[::-1] if layer.reversed_result else steps))
        else:
            rows.append(h)
    return np.stack(rows)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([SimpleRNN, LSTM, GRU]),
    st.sampled_from(["tanh", "tanh", "sigmoid", "hard_sigmoid", "relu6", "softsign"]),
    st.sampled_from(["sigmoid", "sigmoid", "hard_sigmoid"]),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(*[st.booleans()] * 5),
    st.integers(0, 2**20),
)
def test_any_cell_is_exact_and_close_to_the_formula(
    kind: type[Recurrent],
    activation: str,
    opening: str,
    steps: int,
    channels: int,
    units: int,
    flags: tuple[bool, ...],
    seed: int,
) -> None:
    sequences, backwards, reverse, stateful, other = flags
    fields: dict[str, object] = {"activation": FUNCTIONS[activation][0], "return_sequences": sequences,
                                 "go_backwards": backwards, "reversed_result": reverse}  # fmt: skip
    if kind is not SimpleRNN:
        fields["recurrent_activation"] = FUNCTIONS[opening][0]
    if kind is LSTM:
        fields |= {"of_cell": other and not sequences, "return_state": other}
    if kind is GRU:
        fields["reset_after"] = other
    layer = made(kind, channels, units, seed, **fields)
    shapes = [(steps, channels), *([(units,)] * len(kind.states) if stateful else [])]
    formats = {k: NARROW if k else INPUT for k in range(len(shapes))}
    network = network_of(layer, shapes, formats=formats)
    outcome = run(network, seed, samples=4)
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(0, 1, (3, *shape)) for shape in shapes]
    np.testing.assert_allclose(
        network.evaluate(inputs)["layer"], expected(layer, (activation, opening), inputs), atol=1e-12
    )
    # Errors of one step reach the next through at most this slope; each step adds a few roundings of 2**-15 or less.
    gain = 1 + units * (2 if kind is not SimpleRNN else 1)
    largest = max(1.0, float(np.max(np.abs(outcome.real))))
    assert np.max(np.abs(outcome.fixed - outcome.real)) < min(gain ** (steps + 1) * 2.0**-13, 2.0**-5) * largest
    assert_exact(network, samples=4, seed=seed)


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_long_sequences_stay_accurate(kind: type[Recurrent]) -> None:
    rng = np.random.default_rng(1)
    columns = kind.gates * 8
    layer = kind(
        as_weights(rng.normal(0, 0.5, (4, columns))), as_weights(rng.normal(0, 0.3, (8, columns))),
        as_weights(rng.normal(0, 0.3, columns)), return_sequences=True,
    )  # fmt: skip
    network = network_of(layer, [(300, 4)])
    from bitsmith.compiler import compile_network
    from bitsmith.emulate import Emulator

    program = compile_network(network).program
    x = np.round(rng.normal(0, 1, (30, 300, 4)) * 256) / 256
    errors = np.abs(Emulator(program).run([x])[0] - network.evaluate([x])["layer"])
    assert errors.max() < 2.0**-11
    assert errors.mean() < 2.0**-14


def scans(program: Program) -> list[ops.Scan]:
    return [node.op for node in program.nodes if isinstance(node.op, ops.Scan)]
