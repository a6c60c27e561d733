"""Numbers on and next to ties of the first quantizer have the framework's codes, with the input's own format as with any.

Frameworks divide in single precision: where that makes a tie of what is none, our code is that of the fraction.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.ir.text import to_text

sys.path.insert(0, str(Path(__file__).parent / "torch"))
torch = pytest.importorskip("torch")

_SHAPE = (40, 12)


def _beside_ties(step: float, rng: np.random.Generator) -> np.ndarray:
    """Multiples of halves of a step, half of them off by so little that single precision just tells them from these."""
    halves = rng.integers(-40, 41, _SHAPE) / 2.0 * step
    return (halves * (1.0 + rng.choice([-(2.0**-18), 2.0**-18, 0.0, 0.0], _SHAPE))).astype(np.float32)


def _check(theirs: np.ndarray, model: bitsmith.Model, x: np.ndarray, quotients: np.ndarray, folder: Path) -> None:
    found = np.asarray(model.predict(x)).reshape(theirs.shape)
    exact = model.network.evaluate([x.astype(np.float64)])[model.network.outputs[0]].reshape(theirs.shape)
    np.testing.assert_array_equal(found, exact)
    model.save(folder / "model.json")
    read = bitsmith.Model.load(folder / "model.json")
    np.testing.assert_array_equal(np.asarray(read.predict(x)).reshape(theirs.shape), found)
    assert to_text(read.program) == to_text(model.program)
    tie = (2.0 * quotients.astype(np.float64)) % 1.0 == 0.0
    np.testing.assert_array_equal(np.isclose(found, theirs, 2.0**-20, 2.0**-20) | tie, True)
    assert np.mean(tie) < 1.0


class _Single(torch.nn.Module):
    def __init__(self, spec: tuple[object, ...], factor: float, shift: float) -> None:
        super().__init__()
        self.spec, self.factor, self.shift = spec, factor, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        decomposed = torch.ops.quantized_decomposed
        x = x if self.factor == 1.0 else x * self.factor
        x = x if self.shift == 0.0 else x + self.shift
        return decomposed.dequantize_per_tensor(decomposed.quantize_per_tensor(x, *self.spec), *self.spec)


@pytest.mark.parametrize(
    ("step", "zero", "lo", "hi", "kind"),
    [
        (0.25, 3, -8, 7, "int8"),
        (0.1, -7, -127, 127, "int8"),
        (1 / 3, 17, 0, 15, "uint8"),
        (0.003, 0, -32768, 32767, "int16"),
    ],
)
@pytest.mark.parametrize(("factor", "shift"), [(1.0, 0.0), (0.5, 0.0), (-0.75, 0.0), (1.0, 0.5), (1.5, -2.25)])
def test_programs_of_pt2e(
    step: float, zero: int, lo: int, hi: int, kind: str, factor: float, shift: float, tmp_path: Path
) -> None:
    """Factors and sums before the quantizer are told apart by where its codes change."""
    pytest.importorskip("torch.ao.quantization.fx._decomposed")
    module = _Single((step, zero, lo, hi, getattr(torch, kind)), factor, shift)
    x = ((_beside_ties(step, np.random.default_rng(0)) - shift) / factor).astype(np.float32)
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(module, (torch.from_numpy(x[:2]),), dynamic_shapes=batch)
    line = x * np.float32(factor) + np.float32(shift)  # where single precision loses nothing of it, its codes are right
    kept = np.where(line == x.astype(np.float64) * factor + shift, line * np.float32(1.0 / step), 0.0)
    _check(module(torch.from_numpy(x)).numpy(), bitsmith.convert(program), x, kept, tmp_path)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO", "DPU"])
@pytest.mark.parametrize("greatest", [3.0, 3.3])
def test_modules_of_brevitas(rounding: str, greatest: float, tmp_path: Path) -> None:
    qnn, quant = pytest.importorskip("brevitas.nn"), pytest.importorskip("brevitas.quant")
    chosen = {"bit_width": 5, "scaling_impl_type": "const", "scaling_init": greatest}
    module = qnn.QuantIdentity(quant.Int8ActPerTensorFloat, float_to_int_impl_type=rounding, **chosen).eval()
    step = float(module.act_quant(torch.ones(1))[1])
    x = _beside_ties(step, np.random.default_rng(0))
    with torch.no_grad():
        theirs = module(torch.from_numpy(x)).numpy()
    _check(theirs, bitsmith.convert(module, input_shape=(12,)), x, x / np.float32(step), tmp_path)


class _Sigmoid(torch.nn.Module):
    def __init__(self, step: float) -> None:
        super().__init__()
        self.before, self.after = (0.043, -29, -128, 127, torch.int8), (step, 0, 0, 255, torch.uint8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        decomposed = torch.ops.quantized_decomposed
        x = decomposed.dequantize_per_tensor(decomposed.quantize_per_tensor(x, *self.before), *self.before)
        codes = decomposed.quantize_per_tensor(torch.sigmoid(x).flatten(1), *self.after)
        return decomposed.dequantize_per_tensor(codes, *self.after)


def test_functions_whose_results_move_before_they_are_quantized_are_rounded_once() -> None:
    """One of all 256 results is less than half a step of 16 bits beyond a tie of the second quantizer."""
    pytest.importorskip("torch.ao.quantization.fx._decomposed")
    x = torch.arange(-99, 157, dtype=torch.float32).reshape(64, 2, 2) * 0.043
    places = np.array([135, 200])
    for step in (torch.sigmoid(x).numpy().ravel()[places] * (1.0 - 2.0**-19) / (places + 0.5)).tolist():
        module = _Sigmoid(step)
        program = torch.export.export(module, (x[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},))
        found = bitsmith.convert(program, check=False).predict(x.numpy())
        np.testing.assert_array_equal(np.float32(found), module(x).numpy())
