"""Recurrent layers: against formulas of the test's own, in all executions, in the user's formats and in those of auto."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.devices.ecp5 import ECP5
from bitsmith.emulate import Emulator
from bitsmith.errors import RangeError, UnsupportedError
from bitsmith.estimate.size import estimate
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.text import parse, to_text
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from bitsmith.layers.resample import Pad
from bitsmith.layers.settings import Bits, Settings
from bitsmith.layers.shape import Identity
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.time_distributed import TimeDistributed
from bitsmith.model.serialization import SavedModel, encode, load, weights_path
from bitsmith.netlist.elaborate import elaborate
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.lower import lower
from bitsmith.passes.program import PASSES, drop_dead, simplify
from tests.ir.oracle import evaluate
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
                    inner = (
                        r * b[2 * u :]
                        if layer.reset_after
                        else (r * h) @ layer.recurrent_kernel[:, 2 * u :] + late[2 * u :]
                    )
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


@settings(max_examples=6)
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
    fields: dict[str, object] = {
        "activation": FUNCTIONS[activation][0],
        "return_sequences": sequences,
        "go_backwards": backwards,
        "reversed_result": reverse,
    }
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


def test_steps_that_are_known_beforehand_have_the_format_of_the_others() -> None:
    nodes = (
        NetworkNode("x", Input((3, 2)), settings=Settings({"result": SMALL})),
        NetworkNode("padded", Pad(((1, 0), (0, 0))), ("x",)),
        NetworkNode("layer", made(GRU, 2, 2, 3), ("padded",)),
    )
    assert_exact(Network(nodes, ("x",), ("layer",)))


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_long_sequences_stay_accurate(kind: type[Recurrent]) -> None:
    rng = np.random.default_rng(1)
    columns = kind.gates * 8
    layer = kind(
        as_weights(rng.normal(0, 0.5, (4, columns))),
        as_weights(rng.normal(0, 0.3, (8, columns))),
        as_weights(rng.normal(0, 0.3, columns)),
        return_sequences=True,
    )
    network = network_of(layer, [(300, 4)])
    program = compile_network(network).program
    x = np.round(rng.normal(0, 1, (30, 300, 4)) * 256) / 256
    errors = np.abs(Emulator(program).run([x])[0] - network.evaluate([x])["layer"])
    assert errors.max() < 2.0**-11
    assert errors.mean() < 2.0**-14


def scans(program: Program) -> list[ops.Scan]:
    return [node.op for node in program.nodes if isinstance(node.op, ops.Scan)]


def test_given_formats_are_honoured_to_the_bit() -> None:
    state = FixedFormat(True, 8, 5, Rounding.TRN, Overflow.WRAP)
    gate = FixedFormat(False, 5, 4, Rounding.RND, Overflow.SAT)
    sums = FixedFormat(True, 10, 4, Rounding.RND_CONV, Overflow.SAT)
    precision = {"state": state, "accum": sums, "recurrent_accum": sums, "activation": gate}
    layer = SimpleRNN(as_weights([[0.75]]), as_weights([[0.5]]), activation=ReLU(1.25), return_sequences=True)
    outcome = run(network_of(layer, [(6, 1)], Settings(precision)), samples=12)

    def quantized(value: float, fmt: FixedFormat) -> float:
        scaled = value * 2.0**fmt.frac
        raw = {Rounding.TRN: np.floor(scaled), Rounding.RND: np.floor(scaled + 0.5)}.get(fmt.rounding, np.rint(scaled))
        if fmt.overflow is Overflow.WRAP:
            return float((raw - fmt.lo) % (fmt.hi - fmt.lo + 1) + fmt.lo) / 2.0**fmt.frac
        return float(np.clip(raw, fmt.lo, fmt.hi)) / 2.0**fmt.frac

    rng = np.random.default_rng(0)
    raw = rng.integers(INPUT.lo, INPUT.hi + 1, (12, 6, 1))
    raw[0], raw[1] = INPUT.lo, INPUT.hi
    for sample, have in zip(raw / 256.0, outcome.fixed, strict=True):
        h = 0.0
        for now, shown in zip(sample[:, 0], have[:, 0], strict=True):
            total = quantized(0.75 * now, sums) + quantized(0.5 * h, sums)
            h = quantized(quantized(min(max(total, 0.0), 1.25), gate), state)
            assert shown == h


@pytest.mark.parametrize(("kind", "left"), [(SimpleRNN, 0), (LSTM, 0), (GRU, 2)])
def test_two_biases_are_one_constant_where_nothing_is_decided_between_them(kind: type[Recurrent], left: int) -> None:
    """A GRU adds the one of its candidate's recurrent product before its reset gate."""
    biases = [as_weights(np.arange(1, 2 * kind.gates + 1) / 8), as_weights(np.arange(2 * kind.gates, 0, -1) / 4)]
    layer = made(kind, 2, 2, 1, bias=biases[0], recurrent_bias=biases[1])
    counts = []
    for chosen in (Settings(), Settings({"recurrent_bias": FixedFormat(True, 8, 4)})):
        (scan,) = scans(run(network_of(layer, [(4, 2)], chosen)).program)
        constants = [node.op for node in scan.body.nodes if isinstance(node.op, ops.Const)]
        counts.append(sum(int(np.count_nonzero(op.raw)) for op in constants))
    assert counts == [left, 2 * kind.gates]


def test_usual_states_lie_between_minus_one_and_one_and_the_cell_within_its_number_of_steps() -> None:
    for kind, steps in ((SimpleRNN, 50), (GRU, 50), (LSTM, 20)):
        layer = made(kind, 3, 3, 0, return_sequences=True)
        (scan,) = scans(compile_network(network_of(layer, [(steps, 3)])).program)
        hidden, *cell = (scan.body.nodes[index].type.real_range() for index in scan.body.inputs[: scan.states])
        assert max(map(abs, hidden)) <= 1.01
        assert all(max(map(abs, reached)) <= 1.01 * steps for reached in cell)


def test_unbounded_states_keep_what_they_can_reach_or_are_refused() -> None:
    layer = replace(made(SimpleRNN, 2, 2, 1, return_sequences=True), activation=ReLU())
    outcome = run(network_of(layer, [(3, 2)]), samples=8)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 2.0**-8
    # The square of the matrix is 0, so that nothing grows; interval arithmetic cannot see it.
    cancelling = replace(layer, activation=Identity(), recurrent_kernel=as_weights([[2.0, -2.0], [2.0, -2.0]]))
    long = network_of(cancelling, [(60, 2)])
    with pytest.raises(RangeError, match=r"(?s)layer 'layer': its state may grow to .* give calibration"):
        lower(long, calibrate(long, None))
    x = np.random.default_rng(0).normal(0, 1, (20, 60, 2))
    (scan,) = scans(compile_network(long, [x]).program)
    assert scan.body.nodes[scan.body.inputs[0]].type.max_width <= 18


@pytest.mark.parametrize("function", ["gelu", "silu", "mish"])
def test_states_reach_the_least_value_of_a_function_that_turns(function: str) -> None:
    """Its place is none of those that a grid of points would have."""
    x = np.arange(-3 * 256, 0)[:, None, None] / 256
    layer = SimpleRNN(as_weights([[1.0]]), as_weights([[0.0]]), activation=Activation(function))
    (found,) = Emulator(compile_network(network_of(layer, [(1, 1)])).program).run([x])
    np.testing.assert_allclose(found, layer.reference([x]), rtol=0, atol=2.0**-12)


@pytest.mark.parametrize("headroom", [2.0, 0.75])
def test_calibrated_states_have_a_spare_bit_or_the_headroom_that_is_wanted(headroom: float) -> None:
    layer = made(LSTM, 2, 3, 4)
    network = network_of(layer, [(40, 2)], Settings(headroom=headroom))
    x = np.random.default_rng(0).normal(0, 1, (50, 40, 2))
    cells = layer.internals([x])["cell"]
    (scan,) = scans(compile_network(network, [x]).program)
    reached = scan.body.nodes[scan.body.inputs[1]].type.real_range()
    assert max(map(abs, reached)) == pytest.approx(headroom * np.abs(cells).max(), abs=1e-3)


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
def test_states_have_bits_of_their_own_and_a_cell_has_the_steps_of_results(kind: type[Recurrent]) -> None:
    layer, x = made(kind, 2, 3, 4), np.random.default_rng(0).normal(0, 1, (50, 8, 2))
    steps = []
    for bits in (Bits(8, 9), Bits(8, 9, 6), Bits(8, 9, 12)):
        network = network_of(layer, [(8, 2)], Settings(bits=bits))
        assert_exact(network, samples=2)
        (scan,) = scans(compile_network(network, [x]).program)
        steps.append([int(scan.body.nodes[index].type.frac.max()) for index in scan.body.inputs[: scan.states]])
    assert steps[0] == steps[2] and [steps[1][0] + 3, *steps[1][1:]] == steps[0]


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
def test_activations_within_have_bits_of_their_own_and_states_those_of_results(kind: type[Recurrent]) -> None:
    layer, x = made(kind, 2, 3, 4), np.random.default_rng(0).normal(0, 1, (50, 8, 2))
    steps, states = [], []
    for bits in (Bits(8, 9), Bits(8, 9, gate=6), Bits(8, 9, gate=12)):
        network = network_of(layer, [(8, 2)], Settings(bits=bits))
        assert_exact(network, samples=2)
        (scan,) = scans(compile_network(network, [x]).program)
        nodes = scan.body.nodes
        steps.append([int(node.type.frac.max()) for node in nodes if isinstance(node.op, ops.Table)])
        states.append([int(nodes[index].type.frac.max()) for index in scan.body.inputs[: scan.states]])
    assert steps[0] == steps[2] == [frac + 3 for frac in steps[1]] and states[0] == states[1] == states[2]


def test_nodes_for_output_and_states_share_one_recurrence() -> None:
    layer = made(LSTM, 2, 3, 5, return_sequences=True, return_state=True)
    layers = {
        "y": layer,
        "h": replace(layer, return_sequences=False),
        "c": replace(layer, return_sequences=False, of_cell=True),
    }
    network = network_of(layer, [(4, 2)])
    nodes = [network.nodes[0], *(NetworkNode(name, one, ("x0",)) for name, one in layers.items())]
    program = assert_exact(Network(tuple(nodes), ("x0",), tuple(layers)))
    assert len(scans(program)) == 1


def test_passes_keep_a_recurrence_and_work_inside_of_it() -> None:
    network = network_of(made(GRU, 2, 2, 6, return_sequences=True), [(3, 2)])
    program = lower(network, calibrate(network, None))
    raw = [np.random.default_rng(0).integers(-2048, 2048, (3, 2)).astype(np.object_)]
    truth = evaluate(program, raw)[0]
    for rewritten in (*(change(program) for change in PASSES), simplify(program)):
        np.testing.assert_array_equal(evaluate(rewritten, raw)[0], truth)
    assert len(scans(simplify(program))[0].body.nodes) < len(scans(program)[0].body.nodes)


def test_a_recurrence_is_written_as_text_and_saved_with_the_layers_that_it_holds(tmp_path: Path) -> None:
    layer = TimeDistributed(made(LSTM, 2, 2, 9, activation=HardActivation(0.5, 0.0, -1.0, 1.0), go_backwards=True))
    compiled = compile_network(network_of(layer, [(2, 3, 2)]))
    assert parse(to_text(compiled.program)) == compiled.program
    path = tmp_path / "model.json"
    text, arrays = encode(SavedModel(compiled.network, compiled.program, {}, ()))
    path.write_text(text)
    np.savez(weights_path(path), **arrays)
    found = load(path)
    assert found.program == compiled.program
    again = found.network.node("layer").layer
    x = [np.random.default_rng(0).normal(0, 1, (3, 2, 3, 2))]
    np.testing.assert_array_equal(again.reference(x), layer.reference(x))


def test_the_estimate_counts_every_step() -> None:
    def size(steps: int) -> int:
        program = compile_network(network_of(made(LSTM, 2, 4, 7), [(steps, 2)])).program
        return estimate(program, ECP5).lut

    assert 7.0 < size(24) / size(3) < 9.0


def test_an_unrolled_recurrence_begins_with_what_is_known_of_its_first_state() -> None:
    def words(steps: int) -> int:
        program = compile_network(network_of(made(SimpleRNN, 2, 3, 8), [(steps, 2)])).program
        return len(elaborate(drop_dead(program, keep_probes=False)).words)

    one, two, three = words(1), words(2), words(3)
    assert two - one > one
    assert abs((three - two) - (two - one)) < (two - one) / 4


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (made(LSTM, 3, 2, 0), [(4, 2)], "a kernel of shape"),
        (made(LSTM, 3, 2, 0), [(3,)], "shape .time, channels."),
        (made(LSTM, 3, 2, 0), [(4, 3), (2,)], "2 initial states"),
        (made(GRU, 3, 2, 0), [(4, 3), (3,)], "initial states of shapes"),
        (made(SimpleRNN, 3, 2, 0, activation=Softmax()), [(4, 3)], "functions of one number"),
        (made(LSTM, 3, 2, 0, of_cell=True, return_sequences=True), [(4, 3)], "that of the last step"),
    ],
)
def test_what_does_not_fit_is_refused(layer: Recurrent, shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        network_of(layer, shapes).shapes()


SMALL = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)
FEW_BITS = {
    "weight": SMALL,
    "recurrent_weight": SMALL,
    "bias": SMALL,
    "recurrent_bias": SMALL,
    "state": SMALL,
    "cell": SMALL,
    "activation": SMALL,
    "recurrent_activation": SMALL,
    "accum": FixedFormat(True, 9, 4, Rounding.RND, Overflow.SAT),
    "recurrent_accum": FixedFormat(True, 9, 4, Rounding.TRN, Overflow.WRAP),
    "table": SMALL,
}


def small(kind: type[Recurrent], seed: int, **fields: object) -> Network:
    """A network of few bits that fits everywhere."""
    fields = {"return_sequences": True, **fields}
    precision = {name: fmt for name, fmt in FEW_BITS.items() if name in kind.precisions}
    return network_of(made(kind, 2, 2, seed, **fields), [(3, 2)], Settings(precision), {0: SMALL})


def samples() -> dict[str, Network]:
    return {
        "lstm": small(LSTM, 0),
        "lstm_cell": small(LSTM, 1, return_sequences=False, of_cell=True),
        "gru": small(GRU, 2, go_backwards=True),
        "gru_before": small(GRU, 3, reset_after=False, reversed_result=True),
        "simple": small(SimpleRNN, 4, activation=HardActivation(0.25, 0.5, 0.0, 1.0)),
        "lstm_auto": network_of(made(LSTM, 2, 2, 5), [(3, 2)]),
        "gru_initial": network_of(made(GRU, 2, 2, 6), [(3, 2), (2,)]),
    }


@pytest.mark.parametrize("name", samples())
def test_few_bits_are_exact(name: str) -> None:
    assert_exact(samples()[name])


@pytest.mark.slow
@pytest.mark.ci
def test_compiled_recurrences(tmp_path: Path) -> None:
    assert_compiled(samples(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "gru_before"])
def test_simulated_recurrences(name: str, tmp_path: Path) -> None:
    assert_simulated(samples()[name], tmp_path)
