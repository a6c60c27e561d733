"""What does not fit its part is refused before any tool runs, with configurations that do, and ``fit`` takes them."""

from __future__ import annotations

import json
import re
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper

import bitsmith
from bitsmith.conversion.explanation import explain
from bitsmith.conversion.fit import _Judge
from bitsmith.conversion.fitted import Fitted
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Part
from bitsmith.devices.parts import DEFAULT_PART, part_or_typical, resolve_part
from bitsmith.errors import CapacityError, ConfigError
from bitsmith.errors.remedies import given, remedy
from bitsmith.estimate.figures import Size
from bitsmith.estimate.needs import fits, missing, packed_luts
from bitsmith.layers.settings import Bits
from bitsmith.model import fitting, points
from bitsmith.model.fitting import edge
from bitsmith.model.points import RESULTS, WEIGHTS, Layouts, size_of
from bitsmith.report.sections import Latency, Verification
from tests.flows.fake_tools import FakeTools
from tests.system.keras2 import write_dense

SMALL = "LFE5U-45F"


@pytest.fixture(scope="module")
def data() -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).uniform(0.0, 1.0, (200, 24))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float perceptron that is too large for a small part with 16 bits, and not with 8."""
    rng = np.random.default_rng(0)
    kernels = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in pairwise((24, 32, 4))]
    return write_dense(tmp_path_factory.mktemp("network"), kernels)


def convert(
    network: Path,
    data: npt.NDArray[np.float64],
    folder: Path,
    config: dict[str, object] | None = None,
    *,
    part: str = SMALL,
    io_type: str = "io_parallel",
    fit: bool = False,
) -> bitsmith.Model:
    return bitsmith.convert(network, folder / "project", config, data, part=part, io_type=io_type, fit=fit, check=False)


def size(model: bitsmith.Model) -> tuple[Size, Part]:
    part = resolve_part(model.target.part)
    return size_of(model.program, model.directives, model.target), part


@pytest.mark.parametrize(("lut", "adders", "placed"), [(89_396, 5_872, 115_802), (33_969, 3_185, 47_400)])
def test_the_estimate_is_near_what_nextpnr_packs(lut: int, adders: int, placed: int) -> None:
    """Of a perceptron of 16 and of 8 bits."""
    assert packed_luts(Size(lut, 0, 0, adders), resolve_part(DEFAULT_PART)) == pytest.approx(placed, rel=0.03)


def test_every_resource_counts() -> None:
    part = resolve_part("LFE5U-12F")
    assert missing(Size(100, 100, 28, 0, 32), part) == ""
    assert missing(Size(100, 12_001, 29, 0, 33), part) == (
        "12,001 flip-flops of 12,000; 29 multiplier blocks of 28; 33 memory blocks of 32"
    )
    assert missing(Size(11_999, 0, 0, 1), part) == "12,003 LUTs of 12,000"
    assert fits(Size(9_000, 9_000, 28, 0, 32), part) and not fits(Size(9_001, 0, 0, 0), part)


def test_a_part_without_a_name_of_ours_is_a_typical_one() -> None:
    assert part_or_typical("Arria10").die.luts > 100_000
    assert part_or_typical("lfe5u-85f").family is ECP5


@pytest.mark.slow
@pytest.mark.ci
def test_what_does_not_fit_is_refused_with_configurations_that_do(
    network: Path, data: npt.NDArray[np.float64], tmp_path: Path
) -> None:
    model = convert(network, data, tmp_path)
    with pytest.raises(CapacityError, match=r"does not fit LFE5U-45F: about [\d,]+ LUTs of 43,848") as caught:
        model.plan()
    assert not model.output_dir.exists()
    told = str(caught.value.remedy)
    configurations = [json.loads(text) for text in re.findall(r"config=(\{.*\})", told)]
    assert [list(found) for found in configurations] == [["Model"], ["LayerName"]]
    for found in configurations:
        assert fits(*size(convert(network, data, tmp_path, found)))
    for offered in ("convert(..., fit=True)", "build(fit=True)", "build(synth=False)", "build(force=True)"):
        assert offered in told
    assert [stage.name for stage in model.plan(force=True).stages] == ["cosim", "synth"]
    assert [stage.name for stage in model.plan(synth=False).stages] == ["cosim"]


@pytest.mark.slow
@pytest.mark.ci
def test_convert_takes_the_most_bits_that_fit(network: Path, data: npt.NDArray[np.float64], tmp_path: Path) -> None:
    model = convert(network, data, tmp_path, fit=True)
    assert fits(*size(model)) and model.directives.unrolled(model.program)
    chosen, *_ = model.notes
    assert re.match(
        r"Chosen to fit LFE5U-45F: 10 bits of weights and 16 of results \(.* less accurate\. Fidelity: .* dB", chosen
    )
    model.save(tmp_path / "model.json")
    assert bitsmith.Model.load(tmp_path / "model.json").notes == model.notes


@pytest.mark.slow
@pytest.mark.ci
def test_bits_and_formats_of_the_user_stay(network: Path, data: npt.NDArray[np.float64], tmp_path: Path) -> None:
    model = convert(network, data, tmp_path, {"Model": {"Bits": 15}}, fit=True)
    assert fits(*size(model)) and "no result changes" in model.notes[0]
    as_asked = convert(network, data, tmp_path, {"Model": {"Bits": 15}})
    assert np.array_equal(model.predict(data), as_asked.predict(data))


@pytest.mark.slow
@pytest.mark.ci
def test_build_takes_reuse_factors_and_no_result_changes(
    network: Path, data: npt.NDArray[np.float64], tmp_path: Path
) -> None:
    model = convert(network, data, tmp_path)
    fitted = model.fitted()
    assert fits(*size(fitted)) and np.array_equal(fitted.predict(data), model.predict(data))
    report = model.build(fit=True, synth=False, cosim=False)
    assert report.design is not None
    assert any("ReuseFactor" in note and "no result changes" in note for note in report.design.notes)


@pytest.mark.slow
@pytest.mark.ci
def test_what_fits_stays_as_it_is(network: Path, data: npt.NDArray[np.float64], tmp_path: Path) -> None:
    model = convert(network, data, tmp_path, part=DEFAULT_PART, fit=True)
    assert model.notes == () and model.fitted() is model


@pytest.mark.parametrize("fit", ["false", 1, None])
def test_fit_is_true_or_false(fit: object, network: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fit: (.|\n)*true or false"):
        bitsmith.convert(network, tmp_path, fit=fit)


@pytest.mark.slow
@pytest.mark.ci
def test_nothing_fits(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 600]) for name in "xyz"]
    graph = helper.make_graph([helper.make_node("Mul", ["x", "y"], ["z"])], "products", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    taken = "the smallest takes about 600 multiplier blocks of 72, most of them for layer"
    with pytest.raises(CapacityError, match=f"fit LFE5U-45F: {taken}"):
        bitsmith.convert(model, tmp_path, part=SMALL, fit=True, check=False)


@pytest.mark.slow
def test_backends_of_vendors_look_before_they_start_too(
    network: Path, data: npt.NDArray[np.float64], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = FakeTools(tmp_path / "bin", monkeypatch)
    model = bitsmith.convert(
        network, tmp_path / "project", calibration=data, part="xc7z010clg400-1", backend="vitis", check=False
    )
    report = model.build(csim=False)
    assert report.design is not None and report["Estimate"]
    assert any("does not fit" in note for note in report.design.notes)
    tools.add("vitis-run")
    with pytest.raises(CapacityError, match="does not fit xc7z010"):
        model.build()
    assert tools.calls() == []


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More layers than even a multiplier each lets a small part have."""
    rng = np.random.default_rng(0)
    kernels = [0.35 * rng.standard_normal(shape) for shape in [(24, 16), *[(16, 16)] * 37, (16, 4)]]
    return write_dense(tmp_path_factory.mktemp("deep"), kernels)


@pytest.mark.slow
@pytest.mark.ci
def test_layers_take_turns_where_no_reuse_factors_fit(
    deep: Path, data: npt.NDArray[np.float64], tmp_path: Path
) -> None:
    asked: dict[str, object] = {"Model": {"Bits": 8}}
    model = convert(deep, data, tmp_path, asked, part="LFE5U-12F")
    fitted = model.fitted()
    inside = np.minimum(data, 0.99)
    assert fits(*size(fitted)) and np.array_equal(fitted.predict(inside), model.predict(inside))
    assert "with Strategy Shared and ReuseFactor" in fitted.notes[-1]


@pytest.mark.slow
@pytest.mark.ci
def test_turns_are_proposed_and_taken_in_cpp(deep: Path, data: npt.NDArray[np.float64], tmp_path: Path) -> None:
    asked: dict[str, object] = {"Model": {"Bits": 8}}
    told = explain(deep, config=asked, calibration=data, part="LFE5U-12F", io_type="io_parallel")
    assert told.proposal is not None and told.proposal.fit.in_turn and told.proposal.interval > 1000
    assert told.proposal.document()["Strategy"] == "Shared"
    (found,) = told.choices
    assert found.configuration == {"Model": {"Strategy": "shared", "ReuseFactor": found.fit.of_all}}
    in_cpp = bitsmith.convert(deep, tmp_path / "cpp", asked, data, part="LFE5U-12F", backend="catapult").fitted()
    assert in_cpp.directives.engine and max(in_cpp.directives.reuse.values()) < 20_000


@pytest.mark.slow
@pytest.mark.ci
def test_layers_take_turns_if_they_are_as_fast_as_asked(
    deep: Path, data: npt.NDArray[np.float64], tmp_path: Path
) -> None:
    model = convert(deep, data, tmp_path, {"Model": {"Bits": 8, "ReuseFactor": 20_000}}, part="LFE5U-12F")
    assert not fits(*size(model))
    fitted = model.fitted()
    assert fits(*size(fitted)) and fitted.directives.engine and set(fitted.directives.reuse.values()) == {20_000}


@pytest.mark.slow
@pytest.mark.ci
def test_layers_that_take_turns_as_asked_get_fewer_multipliers(
    deep: Path, data: npt.NDArray[np.float64], tmp_path: Path
) -> None:
    asked: dict[str, object] = {"Model": {"Bits": 12, "Strategy": "Shared", "ReuseFactor": 1500}}
    model = convert(deep, data, tmp_path, asked, part="LFE5U-12F")
    (before, part), (after, _) = size(model), size(model.fitted())
    assert not fits(before, part) and fits(after, part) and after.dsp < before.dsp


@pytest.mark.slow
def test_layers_in_turn_that_fit_are_verified(deep: Path, data: npt.NDArray[np.float64], tmp_path: Path) -> None:
    model = convert(deep, data, tmp_path, {"Model": {"Bits": 8}}, part="LFE5U-12F")
    report = model.build(inputs=np.minimum(data[:20], 0.99), fit=True, synth=False)
    compared, latency = report.find(Verification), report.find(Latency)
    assert compared is not None and (compared.inputs, compared.mismatches) == (20, 0)
    assert latency is not None and (latency.ii or 0) > 1000


class Asked:
    """Stands for the searches of a module: what each finds, and which were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, **found: object) -> None:
        self.searches = list[str]()
        for name, answer in found.items():
            monkeypatch.setattr(module, name, partial(self._answer, name, answer))

    def _answer(self, name: str, answer: object, *_: object) -> object:
        self.searches.append(name)
        return answer


def stand_in(name: str, **fields: object) -> Any:
    return SimpleNamespace(name=name, size=name, directives=name, faster=None, **fields)


@pytest.mark.parametrize("has_source", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_fewer_bits_come_first_then_reuse_and_both_only_where_reuse_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, has_source: bool, narrow: bool, shared: bool, turns: bool, both: bool
) -> None:
    """Without the source of a model there are no other bits, and no other program."""
    named = {"fewer_bits": narrow, "_in_turn": turns, "_most_exact": both}
    answers = {name: stand_in(name, configuration=name) if is_found else None for name, is_found in named.items()}
    asked = Asked(monkeypatch, fitting, **answers)
    source: Any = SimpleNamespace(network=None) if has_source else None
    laid_out = _layouts(asked, "fitting" if shared else None)
    choices: Any = fitting.choices(source, laid_out)
    found = [choice.name for choice in choices]
    wanted = ["fewer_bits"] * (has_source and narrow) + ["fitting"] * shared
    further = {"_in_turn": turns, "_most_exact": both} if has_source and not shared else {}
    assert found == wanted + [name for name, is_found in further.items() if is_found]
    assert asked.searches == ["fewer_bits"] * has_source + ["fitting", *further]


def _layouts(asked: Asked, found: str | None) -> Any:
    """Layouts that find reuse factors of that name."""

    def fitting() -> str | None:
        asked.searches.append("fitting")
        return found

    return SimpleNamespace(fitting=fitting, point=lambda fit, keys, bits: stand_in(fit, bits=bits))


def test_a_choice_that_both_searches_find_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    alike = {name: stand_in(name, configuration="the same") for name in ("fewer_bits", "_most_exact")}
    asked = Asked(monkeypatch, fitting, **alike, _in_turn=None)
    source: Any = SimpleNamespace(network=None)
    choices: Any = fitting.choices(source, _layouts(asked, None))
    assert [choice.name for choice in choices] == ["fewer_bits"]


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize("engine", [False, True])
@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("beside", [False, True])
def test_layers_are_beside_each_other_unless_turns_are_as_fast_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, factor: int, engine: bool, turns: bool, beside: bool
) -> None:
    wanted = SimpleNamespace(reuse={"fc": factor}, engine=engine, valid=True)
    laid_out: Any = SimpleNamespace(asked=wanted, program=None, part="part", budget_ns=10.0)
    answers = {"in_turn": turns, "proposal": beside, "fastest_in_turn": True}
    asked = Asked(monkeypatch, points, **{name: stand_in(name) if found else None for name, found in answers.items()})
    choice = Layouts.fitting(laid_out)
    order = ["in_turn"] * (factor > 1) + ["proposal"] * (not engine) + ["fastest_in_turn"]
    first = next(name for name in order if answers[name])
    assert asked.searches == order[: order.index(first) + 1]
    assert choice is not None and (choice.size, choice.directives) == (first, first)
    nothing = Asked(monkeypatch, points, in_turn=None, proposal=None, fastest_in_turn=None)
    assert Layouts.fitting(laid_out) is None
    assert nothing.searches
    wanted.valid, nothing.searches = False, []
    assert Layouts.fitting(laid_out) is None and not nothing.searches  # a pipeline has no reuse factors


@pytest.mark.parametrize("limit", [0, 17, 18, 30, 60, 100, 1000])
def test_the_most_bits_of_weights_that_fit_are_sought_for_each_of_results(limit: int) -> None:
    """Of circuits whose areas are products of bits; nothing more is tried if the fewest bits do not fit."""
    tried = list[tuple[int, int]]()

    def search(bits: Bits) -> Bits | None:
        tried.append((bits.weight, bits.result))
        return bits if bits.weight * bits.result <= limit else None

    found = {bits.result: bits.weight for bits in edge(search)}
    wider = {result: [weight for weight in WEIGHTS if weight * result <= limit] for result in RESULTS}
    assert found == {result: max(weights) for result, weights in wider.items() if weights}
    assert len(tried) <= 1 + len(WEIGHTS) + len(RESULTS) and (tried == [(3, 6)] or limit >= 18)


@pytest.mark.slow
def test_bits_of_the_least_error_are_taken_if_they_are_of_use(
    network: Path, data: npt.NDArray[np.float64], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = convert(network, data, tmp_path)
    assert model.source is not None
    asked = Layouts.of(model, model.target)
    tried = fitting.fewer_bits(model.source, asked)
    assert tried is not None and 0 < tried.loss < fitting.LEAST_ERROR
    made = convert(network, data, tmp_path, dict(tried.configuration))
    assert size(made)[0] == tried.size and fits(*size(made))
    monkeypatch.setattr(fitting, "LEAST_ERROR", tried.loss / 2)
    assert fitting.fewer_bits(model.source, asked) is None


@pytest.mark.parametrize("bits", [(), (None,), (8,), (8, None), (None, None)])
def test_ways_out_name_what_takes_them(bits: tuple[int | None, ...], tmp_path: Path) -> None:
    class Way:
        def __init__(self, number: int, bits: int | None) -> None:
            self.bits, self.argued, self.margin = (
                bits,
                given(config={"Model": {"Bits": number}}),
                "slower" * (number == 1),
            )

        def __str__(self) -> str:
            return f"way {self.bits}"

    ways = [Way(k, each) for k, each in enumerate(bits)]
    text = str(fitting.ways_out(ways, lambda: remedy("a larger part")))  # type: ignore[arg-type]
    lines = [line.strip() for line in text.splitlines()]
    assert [line.partition(":")[0] for line in lines[: len(bits)]] == [f"way {each}" for each in bits]
    assert ("slower" in lines) == (len(bits) > 1)
    assert ("convert(..., fit=True)" in text) == any(each is not None for each in bits)
    assert ("build(fit=True)" in text) == any(each is None for each in bits)
    assert ("a larger part" in lines) == (not bits)
    assert "build(synth=False)" in lines[-1] and "build(force=True)" in lines[-1]


@pytest.mark.parametrize(
    ("excess", "lut", "fits_part", "meets"),
    [
        (0.0, 100, True, True),
        (-0.5, 99, True, True),
        (1e-9, 100, True, False),
        (0.0, 101, True, False),
        (0.0, 100, False, False),
    ],
)
def test_a_circuit_that_is_just_as_good_and_as_large_as_allowed_meets_a_goal(
    excess: float, lut: int, fits_part: bool, meets: bool
) -> None:
    point: Any = SimpleNamespace(fits=fits_part, figures={"lut": lut, "dsp": 7}, excess=excess)
    judge: Any = SimpleNamespace(descent=SimpleNamespace(limits={"lut": 100}))
    assert _Judge._meets(judge, point) == meets


@pytest.mark.parametrize(("interval", "told"), [(1, ""), (2, ", a result every 2 cycles"), (1200, " 1,200 cycles")])
def test_intervals_of_more_than_a_cycle_are_told(interval: int, told: str) -> None:
    point: Any = SimpleNamespace(size=SimpleNamespace(interval=interval))
    fitted: Any = SimpleNamespace(
        area=lambda point: 100, part=SimpleNamespace(die=SimpleNamespace(luts=1000), name="part")
    )
    said = Fitted.takes(fitted, point)
    assert told in said and ("a result every" in said) == bool(told)


@pytest.mark.slow
@pytest.mark.ci
def test_remedies_of_an_explanation_help(tmp_path: Path) -> None:
    """What it says of a memory of weights is taken: then reuse factors fit. Bits that the user gave were not tried."""
    rng = np.random.default_rng(0)
    kernels = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in pairwise((16, 300, 400, 8))]
    model = write_dense(tmp_path, kernels)
    asked = partial(explain, model, bits=8, part="ice40hx8k-ct256", calibration=rng.uniform(0.0, 1.0, (50, 16)))
    text = str(asked())
    assert "nor does it with any reuse factors" in text and "fewer bits, more pruning" in text
    memory = re.search(r"io_type='io_stream', strategy='shared', weight_memory='([^']*)'", text)
    assert memory is not None and "memory blocks of 32" in text and "of which it has none" not in text
    helped = asked(io_type="io_stream", strategy="shared", weight_memory=memory[1])
    assert helped.proposal is not None and helped.proposal.fit.in_turn
