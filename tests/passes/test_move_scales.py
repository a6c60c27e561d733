"""Scales and offsets of quantized models, moved to the next quantizer: the same numbers, and integers between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import HardActivation, ReLU
from bitsmith.layers.conv import Conv
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.merge import Add, Concatenate, Maximum, Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import AveragePool, MaxPool
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.steps import BinaryTanh, TernaryTanh
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Broadcast, Flatten, Identity, Permute
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.traits import Exactness
from bitsmith.passes.network.move_scales import move_scales
from bitsmith.passes.program import drop_dead
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.test_traits import CLASSES, instances

INPUT = FixedFormat(True, 9, 5, Rounding.RND, Overflow.SAT)


class Chain:
    """Layers, one after the other, of random weights on random grids."""

    def __init__(self, seed: int, shape: tuple[int, ...]) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes = [NetworkNode("x", Input(shape), settings=Settings({"result": INPUT}))]

    @property
    def last(self) -> str:
        return self.nodes[-1].name

    def add(self, layer: Layer, *inputs: str, **quantizers: Quantizer) -> str:
        name = f"{layer.kind.lower()}{len(self.nodes)}"
        self.nodes.append(NetworkNode(name, layer, inputs or (self.last,), quantizers=quantizers))
        return name

    def scale(self, *shape: int) -> Floats:
        """Scales of single precision; sometimes powers of two."""
        drawn = self.rng.uniform(0.01, 0.2, shape).astype(np.float32)
        return np.asarray(drawn if self.rng.random() < 0.8 else np.full(shape, 2.0**-5), dtype=np.float64)

    def quantize(self, *, signed: bool = True, bits: int = 5) -> str:
        rounding = list(Rounding)[self.rng.integers(7)]
        lo, hi = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        return self.add(Quantize(Quantizer.uniform(self.scale(), lo, hi, rounding)))

    def weights(self, *shape: int, channels: bool) -> tuple[Floats, Quantizer]:
        scale = self.scale(*(1,) * (len(shape) - 1), shape[-1]) if channels else self.scale()
        quantizer = Quantizer.uniform(scale, -7, 7)
        return as_weights(quantizer.applied(self.rng.normal(0, 0.3, shape))), quantizer

    def dense(self, n_in: int, n_out: int, *, channels: bool = True, bias: bool = True) -> str:
        kernel, quantizer = self.weights(n_in, n_out, channels=channels)
        drawn = as_weights(self.rng.normal(0, 0.3, n_out).astype(np.float32)) if bias else None
        return self.add(Dense(kernel, drawn), weight=quantizer)

    def network(self) -> Network:
        return Network(tuple(self.nodes), ("x",), (self.last,))


def assert_same(network: Network, *, exact: bool = True, netlist: bool = True) -> ops.Op | None:
    """The program gives the numbers that the network has before any pass."""
    rng = np.random.default_rng(0)
    compiled = compile_network(network)
    x = np.ldexp(rng.integers(-256, 256, (50, *network.input_shapes()["x"])).astype(np.float64), -5)
    names = [probe.name for probe in compiled.program.probes]
    program = compiled.program
    values = Emulator(program).run([x])
    want = network.evaluate([x])
    np.testing.assert_allclose(values[0], want[network.outputs[0]], rtol=1e-9, atol=1e-12)
    own = compiled.network.evaluate([x])
    for node in compiled.network.nodes:
        if not node.folded and not node.inner and node.name in names:
            np.testing.assert_allclose(own[node.name], want[node.name], rtol=1e-9, atol=1e-12, err_msg=node.name)
    if exact:
        assert_exact(network, netlist=netlist)
    return None


def constants(network: Network) -> int:
    """The widest factor of a multiplication in the hardware."""
    program = drop_dead(compile_network(network).program, keep_probes=False)
    widest = 0
    for node in program.nodes:
        match node.op:
            case ops.Linear(weights=weights):
                widest = max(widest, *(abs(int(raw)).bit_length() for raw in weights.ravel()))
            case ops.Mul():
                for index in node.args:
                    operand = program.nodes[index].op
                    if isinstance(operand, ops.Const):
                        widest = max(widest, *(abs(int(raw)).bit_length() for raw in operand.raw.ravel()))
    return widest


@pytest.mark.parametrize("seed", range(12))
def test_a_perceptron(seed: int) -> None:
    chain = Chain(seed, (6,))
    chain.quantize()
    chain.dense(6, 5, channels=bool(seed % 2))
    chain.add(ReLU())
    chain.quantize(signed=False)
    chain.dense(5, 4, bias=bool(seed % 3))
    if seed % 2:
        chain.add(BatchNormalization(as_weights(chain.rng.normal(size=4)), as_weights(chain.rng.normal(size=4))))
        chain.add(HardActivation(1.0, 0.0, -9.0, 9.0))
    chain.quantize()
    assert_same(chain.network())


@pytest.mark.parametrize("seed", range(8))
def test_a_convolutional_network(seed: int) -> None:
    chain = Chain(seed, (6, 2))
    chain.quantize()
    kernel, quantizer = chain.weights(3, 2, 4, channels=True)
    chain.add(Conv(kernel, as_weights(chain.rng.normal(size=4)), (1,), (1,), ((1, 1),)), weight=quantizer)
    chain.add(BatchNormalization(as_weights(chain.rng.uniform(0.1, 2, 4)), as_weights(chain.rng.normal(size=4))))
    chain.add(ReLU())
    chain.add(MaxPool((2,), (2,)))
    chain.quantize(signed=False)
    chain.add(
        [AveragePool((3,), (1,), ((1, 1),)), Reduce(Reduction.MEAN, (0,), keepdims=True), Permute((1, 0))][seed % 3]
    )
    chain.add(Flatten())
    chain.quantize()
    size = chain.network().shapes()[chain.last][0]
    chain.dense(size, 3)
    assert_same(chain.network())


@pytest.mark.parametrize("axes", [(0,), (-1,), (0, 1)])
@pytest.mark.parametrize("reduction", [Reduction.SUM, Reduction.MEAN])
@pytest.mark.parametrize("channels", [False, True])
def test_sums_and_means_are_of_codes(axes: tuple[int, ...], reduction: Reduction, channels: bool) -> None:
    chain = Chain(1, (6, 2))
    chain.quantize()
    if channels:
        chain.dense(2, 3, bias=False)
    chain.add(Reduce(reduction, axes))
    chain.quantize()
    assert_same(chain.network())
    if not channels or axes == (0,):
        assert not any(node.inner for node in compile_network(chain.network()).network.nodes), "no scale is a layer"


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_stairs_after_a_normalization(seed: int, above: bool) -> None:
    """Binary and ternary networks: thresholds of integers, whatever the signs of the normalization's scales."""
    chain = Chain(seed, (4,))
    steps = Staircase(as_weights([-1.0, -0.25, 0.5]), as_weights([-1.0, 0.0, 2.0, 3.0]), above)
    for layer in (BinaryTanh(), TernaryTanh(), steps):
        chain.dense(4, 4, channels=bool(seed % 2))
        chain.add(BatchNormalization(as_weights(chain.rng.normal(size=4)), as_weights(chain.rng.normal(size=4))))
        chain.add(layer)
    chain.dense(4, 2)
    assert_same(chain.network())


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("factor", [1.0, -1.0, 0.5])
def test_thresholds_that_are_met_exactly(factor: float, above: bool) -> None:
    chain = Chain(0, (1,))
    chain.add(Quantize(Quantizer.fixed(1, 3, 2, Rounding.RND, Overflow.SAT)))
    chain.add(BatchNormalization(as_weights([factor]), as_weights([0.25])))
    chain.add(Staircase(as_weights([-1.0, 0.25, 0.5]), as_weights([-1.0, 0.0, 2.0, 3.0]), above))
    assert_same(chain.network())


@pytest.mark.parametrize("seed", range(6))
def test_branches(seed: int) -> None:
    """Sums of equal scales stay integers; of unlike ones, and products, too, they are what they are."""
    chain = Chain(seed, (4,))
    first = chain.quantize()
    chain.dense(4, 4, bias=False, channels=False)
    second = chain.quantize()
    layer = [Add(), Multiply(), Concatenate(-1)][seed % 3]
    chain.add(layer, *((second, second) if seed >= 3 else (first, second)))
    chain.quantize()
    assert_same(chain.network())


@pytest.mark.parametrize("layer", [Add(), Subtract()])
@pytest.mark.parametrize("rectified", [False, True])
def test_sums_of_unlike_scales_are_of_codes(layer: Layer, rectified: bool) -> None:
    chain = Chain(4, (4,))
    first = chain.add(Quantize(Quantizer.uniform(np.float32(0.0313), -16, 15)))
    chain.dense(4, 4, bias=False, channels=False)
    second = chain.add(Quantize(Quantizer.uniform(np.float32(0.0713), -16, 15)))
    chain.add(layer, first, second)
    if rectified:
        chain.add(ReLU())
    chain.add(Quantize(Quantizer.uniform(np.float32(0.0419), -16, 15, Rounding.RND)))
    chain.add(Quantize(Quantizer.uniform(2.0**-5, -16, 15)))
    assert_same(chain.network())
    assert constants(chain.network()) < 20


@pytest.mark.parametrize("layer", [Add(), Subtract()])
@pytest.mark.parametrize("offsets", [(3.0, 0.0), (0.0, -5.0), (2.0, 7.0)])
def test_sums_of_codes_with_zero_points(layer: Layer, offsets: tuple[float, float]) -> None:
    """What is off 0 by a normalization, in the same steps, adds up with the signs of the operands."""
    chain = Chain(6, (4,))
    names = []
    for k, offset in enumerate((*offsets, 1.0) if isinstance(layer, Add) else offsets):
        chain.add(Quantize(Quantizer.uniform(0.0625 + 0.1 * k, -16, 15)), "x")
        chain.add(Quantize(Quantizer.uniform(np.float32(0.0713), -16, 15)))
        names.append(chain.add(BatchNormalization(as_weights(np.ones(4)), as_weights(np.full(4, 0.25 * offset)))))
    chain.add(layer, *names)
    chain.add(Quantize(Quantizer.uniform(np.float32(0.0419), -64, 63, Rounding.RND)))
    assert_same(chain.network())


@pytest.mark.parametrize("layer", [Add(), Subtract(), Multiply(), Maximum(), Concatenate(-1)])
@pytest.mark.parametrize("biases", [(0.3, 0.0), (0.0, -0.7), (0.2, 0.9), (0.4, 0.4)])
@pytest.mark.parametrize("size", [1, 2])
def test_biases_of_products_of_one_scale_that_are_joined(layer: Layer, biases: tuple[float, float], size: int) -> None:
    """Biases that are no multiples of the step of products are offsets of what they are added to, or compared with."""
    chain = Chain(5, (4,))
    codes = chain.add(Quantize(Quantizer.uniform(np.float32(0.0713), -16, 15)))
    quantizer, names = Quantizer.uniform(np.float32(0.0313), -7, 7), []
    for bias in (*biases, 0.1) if isinstance(layer, Add) else biases:
        kernel = as_weights(quantizer.applied(chain.rng.normal(0, 0.1, (4, size))))
        names.append(chain.add(Dense(kernel, as_weights(np.full(size, bias))), codes, weight=quantizer))
    chain.add(layer, *names)
    chain.add(Quantize(Quantizer.uniform(np.float32(0.0419), -64, 63, Rounding.RND)))
    assert_same(chain.network(), exact=False)


@pytest.mark.parametrize("layer", [Add(), Subtract(), Multiply(), Maximum(), Concatenate(-1)])
@pytest.mark.parametrize("bias", [[0.0, 0.0], [0.0, 0.7], [0.7, 0.0], [0.2, 0.9]])
@pytest.mark.parametrize("turned", [False, True])
def test_biases_of_some_channels_of_one_of_what_is_joined(layer: Layer, bias: list[float], turned: bool) -> None:
    chain = Chain(5, (4,))
    codes = chain.add(Quantize(Quantizer.uniform(np.float32(0.0713), -16, 15)))
    quantizer, names = Quantizer.uniform(np.float32(0.0313), -7, 7), []
    for each in (None, as_weights(bias)):
        kernel = as_weights(quantizer.applied(chain.rng.normal(0, 0.1, (4, 2))))
        names.append(chain.add(Dense(kernel, each), codes, weight=quantizer))
    chain.add(layer, *(names[::-1] if turned else names))
    chain.add(Quantize(Quantizer.uniform(np.float32(0.0419), -64, 63, Rounding.RND)))
    assert_same(chain.network(), exact=False)


@pytest.mark.parametrize(("axis", "kind"), [(0, Identity), (1, BatchNormalization)])
def test_a_normalization_stays_whole_before_the_greatest_of_its_channels(axis: int, kind: type[Layer]) -> None:
    chain = Chain(3, (4, 6))
    chain.quantize()
    scale, shift = chain.rng.uniform(0.5, 1.5, (2, 6)).astype(np.float32)
    chain.add(BatchNormalization(as_weights(scale), as_weights(shift)))
    chain.add(Reduce(Reduction.MAX, (axis,), True))
    chain.quantize()
    found = [type(node.layer) for node in compile_network(chain.network()).network.nodes]
    assert found == [Input, Quantize, kind, Reduce, Quantize]
    assert_same(chain.network(), exact=False)


def test_a_float_layer_after_codes_has_their_values() -> None:
    chain = Chain(3, (4,))
    chain.quantize()
    chain.dense(4, 3)
    chain.add(Softmax())
    network = chain.network()
    x = np.linspace(-1, 1, 40).reshape(10, 4)
    values = Emulator(compile_network(network).program).run([x])
    x = np.ldexp(np.floor(np.ldexp(x, 5) + 0.5), -5)
    np.testing.assert_allclose(values[0], network.evaluate([x])[network.outputs[0]], atol=2e-4)


def test_no_scale_is_multiplied_by() -> None:
    """Weights are their codes, and the quantizers' factors are as short as they can be."""
    chain = Chain(2, (6,))
    chain.quantize()
    chain.dense(6, 5)
    chain.add(BatchNormalization(as_weights(chain.rng.uniform(0.1, 2, 5)), as_weights(chain.rng.normal(size=5))))
    chain.add(ReLU())
    chain.quantize(signed=False)
    assert constants(chain.network()) <= 10


def test_outputs_have_their_scale() -> None:
    chain = Chain(5, (6,))
    chain.quantize()
    chain.dense(6, 3)
    compiled = compile_network(chain.network())
    assert compiled.network.nodes[-1].affine is not None
    assert_same(chain.network())


def chain(seed: int) -> Network:
    chain = Chain(seed, (4,))
    chain.quantize()
    chain.dense(4, 3)
    chain.add(ReLU())
    chain.quantize(signed=False)
    chain.dense(3, 2)
    return chain.network()


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    assert_compiled({f"chain{seed}": chain(seed) for seed in range(4)}, tmp_path)


@pytest.mark.slow
@pytest.mark.ci
def test_simulated(tmp_path: Path) -> None:
    assert_simulated(chain(0), tmp_path)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("step", [1.0, -1.0])
def test_quantizers_of_both_signs_after_relu(seed: int, step: float) -> None:
    """These begin at the code of 0, whatever the sign of their scale, and normalizations wait for them."""
    chain = Chain(seed, (6,))
    chain.quantize()
    chain.dense(6, 5)
    chain.add(BatchNormalization(as_weights(chain.rng.normal(size=5)), as_weights(chain.rng.normal(size=5))))
    chain.add(ReLU())
    scale, rounding = step * float(chain.scale()), list(Rounding)[seed]
    chain.add(Quantize(Quantizer.uniform(scale, -8, 7, rounding, offset=0.5 * (seed % 3))))
    assert_same(chain.network())


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_every_exact_layer_between_quantizers(layer: type[Layer]) -> None:
    """Whatever passes through a layer, or does not, the numbers are the same."""
    for number, (instance, shapes) in enumerate(instances(layer)[:4]):
        if instance.jumps or instance.traits.exactness is not Exactness.EXACT or not instance.output_shape(shapes):
            continue
        nodes = [NetworkNode("x", Input(shapes[0]), settings=Settings({"result": INPUT}))]
        for k, shape in enumerate(shapes):
            scales = np.linspace(0.3, 0.7, shape[-1]) if number % 2 else 0.3
            nodes.append(NetworkNode(f"x{k}", Broadcast(shape), ("x",)))
            nodes.append(NetworkNode(f"q{k}", Quantize(Quantizer.uniform(scales, -7, 7)), (f"x{k}",)))
        held = {name: Quantizer.holding(values) for name, values in instance.weights().items()}
        nodes.append(NetworkNode("y", instance, tuple(f"q{k}" for k in range(len(shapes))), quantizers=held))
        nodes.append(NetworkNode("r", Quantize(Quantizer.uniform(0.0371, -128, 127)), ("y",)))
        network = Network(tuple(nodes), ("x",), ("r",))
        x = np.ldexp(np.random.default_rng(number).integers(-256, 256, (20, *shapes[0])).astype(np.float64), -5)
        values = Emulator(compile_network(network).program).run([x])
        np.testing.assert_allclose(values[0], network.evaluate([x])["r"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_operands_on_one_grid(layer: type[Layer]) -> None:
    """Layers take integers for the values of several operands only where the scale passes through them."""
    for instance, shapes in instances(layer)[:3]:
        if len(shapes) < 2:
            continue
        nodes = [NetworkNode("x", Input(shapes[0]), settings=Settings({"result": INPUT}))]
        for k, shape in enumerate(shapes):
            nodes.append(NetworkNode(f"x{k}", Broadcast(shape), ("x",)))
            nodes.append(NetworkNode(f"q{k}", Quantize(Quantizer.uniform(0.3, 1, 7)), (f"x{k}",)))
        nodes.append(NetworkNode("y", instance, tuple(f"q{k}" for k in range(len(shapes)))))
        nodes.append(NetworkNode("r", Quantize(Quantizer.uniform(0.0371, -128, 127)), ("y",)))
        network = Network(tuple(nodes), ("x",), ("r",))
        x = np.random.default_rng(0).uniform(0.0, 3.0, (20, *shapes[0]))
        np.testing.assert_allclose(move_scales(network).evaluate([x])["r"], network.evaluate([x])["r"])
