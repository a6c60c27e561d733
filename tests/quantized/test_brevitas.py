"""Live modules of Brevitas; only where it is installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.properties import judged

import bitsmith
from bitsmith.errors import UnsupportedError
from bitsmith.frontends.torch.brevitas import code_range
from bitsmith.frontends.torch.live import module_results

sys.path.insert(0, str(Path(__file__).parent / "torch"))
qnn, quant = pytest.importorskip("brevitas.nn"), pytest.importorskip("brevitas.quant")
models = pytest.importorskip("brevitas_models").models

pytestmark = pytest.mark.filterwarnings("default")  # Brevitas warns of much

NAMES = ("identities", "activations", "linear", "images", "images_float", "rest", "lstm", "rnn")


@pytest.fixture(scope="module", name="modules")
def _modules() -> dict[str, tuple[torch.nn.Module, tuple[int, ...]]]:
    return models()


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("name", NAMES)
def test_modules_compute_what_brevitas_does(
    modules: dict[str, tuple[torch.nn.Module, tuple[int, ...]]], name: str
) -> None:
    module, shape = modules[f"brevitas_{name}"]
    x = np.rint(np.random.default_rng(2).normal(size=(4, *shape)) * 512) / 256
    model = bitsmith.convert(module, example=x)
    with torch.no_grad():
        y = module(torch.from_numpy(x.astype(np.float32)))
    y = getattr(y, "value", y).numpy()
    found, traced = model.trace(x)
    assert np.array_equal(np.asarray(found).reshape(y.shape).astype(np.float32), y)
    inside = {path: part for path, part in module_results(module, [x.astype(np.float32)]).items() if path in traced}
    assert inside or name in ("lstm", "rnn")
    for path, wanted in inside.items():
        got = traced[path].reshape(wanted.shape)
        assert np.allclose(got, wanted, rtol=2.0**-20, atol=2.0**-20), path


@pytest.mark.slow
@pytest.mark.ci
def test_a_module_is_left_as_it_was(modules: dict[str, tuple[torch.nn.Module, tuple[int, ...]]]) -> None:
    module, shape = modules["brevitas_images"]
    x = torch.randn(4, *shape)
    before = module(x)
    state = {name: set(vars(part)) for name, part in module.named_modules()}
    bitsmith.convert(module, input_shape=shape)
    assert {name: set(vars(part)) for name, part in module.named_modules()} == state
    assert torch.equal(module(x), before)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("scheme", ["Int8ActPerTensorFixedPoint", "Uint8ActPerTensorFixedPoint"])
def test_many_bits_are_rounded_up(scheme: str) -> None:
    choices = {"bit_width": 16, "scaling_impl_type": "const", "scaling_init": 4.0, "float_to_int_impl_type": "CEIL"}
    module = torch.nn.Sequential(qnn.QuantIdentity(getattr(quant, scheme), **choices)).eval()
    x = np.rint(np.random.default_rng(4).normal(size=(256, 4)) * 2.0**17) / 2.0**16
    with torch.no_grad():
        y = module(torch.from_numpy(x.astype(np.float32))).numpy()
    assert np.array_equal(bitsmith.convert(module, example=x[:1]).predict(x).astype(np.float32), y)


class _Greatest(torch.nn.Module):
    """A scale that is the greatest number of a batch."""

    def forward(self, x: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        return x.abs().max() / threshold


def test_programs_of_pt2e_are_read_as_they_are() -> None:
    pt2e = pytest.importorskip("pt2e")
    module = pt2e.quantized(pt2e.Perceptron(), (6,), True, torch.randn(32, 6))
    x = np.rint(np.random.default_rng(3).normal(size=(64, 6)) * 512) / 256
    with torch.no_grad():
        y = module(torch.from_numpy(x.astype(np.float32))).numpy()
    assert np.array_equal(bitsmith.convert(module, input_shape=(6,)).predict(x).astype(np.float32), y)


@pytest.mark.parametrize("name", ["QuantTanh", "QuantSigmoid"])
def test_functions_of_too_many_steps_are_computed_before_their_quantizer(name: str) -> None:
    """Up to a step from PyTorch's function in single precision."""
    module = torch.nn.Sequential(getattr(qnn, name)(bit_width=14)).eval()
    x = np.linspace(-6.0, 6.0, 3000, dtype=np.float32).reshape(-1, 3)
    with torch.no_grad():
        want, step = module(torch.from_numpy(x)).numpy(), module[0].act_quant.scale().item()
    network = bitsmith.convert(module, input_shape=(3,), check=False).network
    found = network.evaluate([x.astype(np.float64)])[network.outputs[0]]
    assert len(np.unique(found)) > 1024
    np.testing.assert_allclose(found, want, rtol=0.0, atol=1.01 * step)


@pytest.mark.parametrize("scale", [0.973, 0.7])
def test_levels_of_functions_are_multiples_of_the_scale(scale: float) -> None:
    """A quantizer of steps twice as large rounds halves, which levels in single precision would be next to."""
    first = qnn.QuantTanh(bit_width=5, scaling_impl_type="const", scaling_init=scale)
    step = float(first.act_quant.scale())
    second = qnn.QuantIdentity(bit_width=4, scaling_impl_type="const", scaling_init=2.0 * 8.0 * step)
    net = torch.nn.Sequential(first, second).eval()
    x = np.linspace(-2.0, 2.0, 400, dtype=np.float32).reshape(100, 4)
    with torch.no_grad():
        want = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(bitsmith.convert(net, input_shape=(4,)).predict(x), want, rtol=0.0, atol=1e-6)


def test_scales_that_depend_on_the_data_are_refused() -> None:
    module = qnn.QuantIdentity(bit_width=4)
    module.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl = _Greatest()
    with pytest.raises(UnsupportedError, match="depends on the data"):
        bitsmith.convert(torch.nn.Sequential(module.eval()), input_shape=(3,))


def test_truncations_that_single_precision_decides_are_refused() -> None:
    class Accumulator(qnn.TruncQuantAccumulator):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)  # which Brevitas forgets
            super().__init__(quant.TruncTo8bit)

    class Truncated(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.codes = qnn.QuantIdentity(bit_width=4, return_quant_tensor=True)
            self.linear = qnn.QuantLinear(3, 2, bias=False, return_quant_tensor=True)
            self.last = Accumulator()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.linear(self.codes(x)))

    with pytest.raises(UnsupportedError, match=r"last\.trunc_quant: a truncation of sums"):
        bitsmith.convert(Truncated().eval(), input_shape=(3,))


def test_resizing_is_of_nearest_neighbors() -> None:
    """Of others Brevitas rounds what is in between to the operand's grid."""

    def resized(name: str) -> torch.nn.Module:
        codes = qnn.QuantIdentity(quant.Int8ActPerTensorFixedPoint, bit_width=4, return_quant_tensor=True)
        module = torch.nn.Sequential(codes, getattr(qnn, name)(scale_factor=2, return_quant_tensor=False))
        module(torch.randn(4, 2, 3, 3))
        return module.eval()

    module, x = resized("QuantUpsamplingNearest2d"), np.arange(-9.0, 9.0).reshape(1, 2, 3, 3) / 4
    with torch.no_grad():
        wanted = module(torch.from_numpy(x.astype(np.float32))).numpy()
    assert np.array_equal(bitsmith.convert(module, input_shape=(2, 3, 3), check=False).predict(x), wanted)
    with pytest.raises(UnsupportedError, match="in between"):
        bitsmith.convert(resized("QuantUpsamplingBilinear2d"), input_shape=(2, 3, 3), check=False)


def test_rows_of_embeddings_are_on_their_grid() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(qnn.QuantEmbedding(12, 6)).eval()
    x = np.arange(12).reshape(4, 3)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    model = bitsmith.convert(module, input_shape=(3,), check=False)
    assert np.array_equal(model.predict(x).astype(np.float32), wanted)


@pytest.mark.slow
@pytest.mark.ci
def test_attention_is_read() -> None:
    class Attention(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = qnn.QuantMultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.attention(x, x, x)[0]

    module = Attention()
    module(torch.randn(32, 3, 4))
    model = bitsmith.convert(module.eval(), input_shape=(3, 4))
    assert model.predict(np.zeros((2, 3, 4))).shape == (2, 3, 4)
    assert any("rules of auto: 'attention.softmax'" in note for note in model.notes)


@pytest.mark.parametrize("kind", [judged("QuantLSTM"), "QuantRNN"])
def test_recurrent_layers_without_biases(kind: str) -> None:
    """Whose quantizers of these are called for nothing."""
    torch.manual_seed(0)
    models = importlib.import_module("brevitas_models")
    module = models.Recurrent(getattr(qnn, kind)(3, 2, batch_first=True, bias=False))
    module(torch.randn(32, 3, 3))
    x = torch.round(256.0 * torch.randn(16, 3, 3)) / 256.0
    with torch.no_grad():
        y = module.eval()(x)
    y = getattr(y, "value", y).numpy()
    assert np.abs(bitsmith.convert(module, input_shape=(3, 3)).predict(x.numpy()) - y).max() < 1e-3


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_codes_reach_as_far_as_brevitas_says(signed: bool, narrow: bool) -> None:
    ops = pytest.importorskip("brevitas.function.ops")
    for bits in map(torch.tensor, (1.0, 2.0, 5.0, 8.0, 16.0)):
        expected = (function(signed, narrow, bits) for function in (ops.min_int, ops.max_int))
        assert [float(end) for end in code_range(bits.double(), signed=signed, narrow=narrow)] == list(
            map(float, expected)
        )


def test_results_with_their_grids_are_compared_with_brevitas() -> None:
    torch.manual_seed(1)
    codes = qnn.QuantIdentity(quant.Int8ActPerTensorFixedPoint, bit_width=4, return_quant_tensor=True)
    module = torch.nn.Sequential(codes, qnn.QuantLinear(3, 2, bias=False, return_quant_tensor=True))
    module(x := torch.randn(20, 3))
    circuit = bitsmith.convert(module.eval(), calibration=x.numpy())
    assert (circuit.fidelity.agreement.reason, circuit.fidelity.agreement.framework) == ("", "PyTorch")
    with torch.no_grad():
        np.testing.assert_allclose(circuit.predict(x.numpy()), module(x).value.numpy(), atol=1e-6)
