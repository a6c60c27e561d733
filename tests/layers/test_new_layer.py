"""A layer is one file and a line of ``layers/table.py``, as docs/add-a-layer.md has it: passes know its class then."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.layers import table
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.shape import Gather
from bitsmith.passes.program import drop_dead
from tests.layers import test_traits
from tests.layers.agreement import assert_exact

ROOT = Path(__file__).parents[2]
FILE = '''"""Elements along the first axis moved on, the last ones to the front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bitsmith.ir.builder import Value
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.traits import Elements, Traits, moved


@dataclass(frozen=True, slots=True, eq=False)
class Roll(Layer):
    """Element ``k`` of the first axis becomes element ``k + steps``, as if the axis were a ring."""

    steps: int

    traits: ClassVar[Traits] = moved(Elements.PERMUTATION)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return single(inputs, self.kind)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.roll(inputs[0], self.steps, axis=1)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        size = inputs[0].shape[0]
        return lowering.cast("result", lowering.builder.gather(inputs[0], np.roll(np.arange(size), self.steps), 0))


EXAMPLES = (Example(Roll(1), ((4, 3),)),)
'''


@pytest.fixture
def roll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Layer]:
    """The class of the file, which is in the table of all layers."""
    (tmp_path / "roll.py").write_text(FILE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("roll", tmp_path / "roll.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "roll", module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(table.LAYERS, "Roll", module.Roll)
    layer: type[Layer] = module.Roll
    return layer


def between_quantizers(layer: Layer) -> Network:
    """The layer behind scales that differ by channel; no format is given."""
    scales = np.array([0.3, 0.7, 0.11])
    nodes = (
        NetworkNode("x", Input((4, 3))),
        NetworkNode("q", Quantize(Quantizer.uniform(scales, -128, 127)), ("x",)),
        NetworkNode("y", layer, ("q",)),
        NetworkNode("r", Quantize(Quantizer.uniform(scales * 1.7, -8, 7)), ("y",)),
    )
    return Network(nodes, ("x",), ("r",))


def widths(network: Network) -> list[int]:
    program = drop_dead(compile_network(network).program, keep_probes=False)
    return [int(node.type.width.max()) for node in program.nodes]


def test_passes_know_it(roll: type[Layer]) -> None:
    network = between_quantizers(roll(1))  # type: ignore[call-arg]
    assert widths(network) == widths(between_quantizers(Gather((3, 0, 1, 2), 0)))
    assert_exact(network)


def test_its_claims_are_tested(roll: type[Layer]) -> None:
    for check in (test_traits.test_elements, test_traits.test_scales, test_traits.test_exactness):
        check(roll)


def test_models_with_it_are_saved(roll: type[Layer], tmp_path: Path) -> None:
    network = between_quantizers(roll(1))  # type: ignore[call-arg]
    compiled = compile_network(network)
    target = Target(tmp_path, "net", "LFE5U-85F-6BG381C", 10.0)
    model = bitsmith.Model(compiled.network, compiled.program, target)
    model.save(tmp_path / "model.bitsmith")
    x = np.random.default_rng(0).normal(size=(5, 4, 3))
    np.testing.assert_array_equal(bitsmith.Model.load(tmp_path / "model.bitsmith").predict(x), model.predict(x))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("lacking", ["traits", "reference", "lower", "output_shape"])
def test_a_type_checker_names_what_it_lacks(lacking: str, tmp_path: Path) -> None:
    start = FILE.index("    traits: " if lacking == "traits" else f"    def {lacking}(")
    (tmp_path / "roll.py").write_text(FILE[:start] + FILE[FILE.index("\n\n", start) + 2 :], encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run([*command, str(tmp_path / "roll.py")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f'"Roll" with abstract attribute "{lacking}"' in done.stdout
