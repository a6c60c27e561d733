"""``interface="ap_none"``, from the user to files and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsmith
from bitsmith.errors import CapacityError, ConfigError
from bitsmith.estimate.size import guess_layout
from bitsmith.model import Model
from tests.any_models import proto
from tests.system.examples import three_layer


def converted(folder: Path, interface: str | None = "ap_none", **further: object) -> Model:
    given: dict[str, object] = {"config": {"Model": {"Precision": "fixed<8,3>"}}, "check": False, **further}
    return bitsmith.convert(proto(), folder, interface=interface, **given)  # type: ignore[arg-type]


def test_it_is_kept_with_the_model(tmp_path: Path) -> None:
    model = converted(tmp_path / "a")
    assert not model.directives.valid and converted(tmp_path / "b", None).directives.valid
    model.save(tmp_path / "model.json")
    assert Model.load(tmp_path / "model.json").target == model.target


def test_estimates_are_without_the_register_of_each_stage(tmp_path: Path) -> None:
    usual, bare = converted(tmp_path / "a", None), converted(tmp_path / "b")
    sizes = [model.estimate().size for model in (usual, bare)]
    assert bare.estimate().latency == usual.estimate().latency == sizes[0].ff - sizes[1].ff
    family, budget_ns = bare.target.known_part.family, 1.5
    rough = [guess_layout(model.program, model.directives, family, budget_ns) for model in (usual, bare)]
    assert 1 < rough[0].ff - rough[1].ff < 30 and rough[0].lut == rough[1].lut


@pytest.mark.parametrize(
    ("further", "said"),
    [
        ({"backend": "vitis"}, "ap_none' with backend 'vitis'.*accepted.*'rtl'"),
        ({"io_type": "io_stream"}, "ap_none' with backend 'rtl', io_type 'io_stream'.*accepted.*io_parallel"),
        ({"board": "pynq-z2"}, "ap_none' with .* and a board.*accepted.*without a board"),
        (
            {"config": {"Model": {"Precision": "fixed<8,3>", "ReuseFactor": 12, "Strategy": "Resource"}}},
            "ap_none, without valid signals, for a circuit with .* shares multipliers .ReuseFactor 12.*a pipeline",
        ),
        (
            {"config": {"Model": {"Precision": "fixed<8,3>", "Weights": "reloadable"}}},
            "ap_none, without valid signals, for a circuit with weights of .* that are loaded",
        ),
        ({"interface": "ap_hs"}, "accepted.*ap_vld for HLS C.., ap_none for SystemVerilog, or with a board axi_master"),
    ],
)
def test_what_needs_valid_signals_is_refused_by_name(further: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"(?s)Interface.*{said}"):
        converted(tmp_path, **{"interface": "ap_none", **further})  # type: ignore[arg-type]


def test_no_reuse_factors_are_explored() -> None:
    x = np.random.default_rng(0).uniform(-2, 2, (16, 4))
    grid: Any = {"weight_bits": [6], "result_bits": [6], "calibration": x, "interface": "ap_none", "check": False}
    assert len(bitsmith.explore(proto(), reuse_factors=[1], **grid).points) == 1
    with pytest.raises(ConfigError, match=r"ap_none.* shares multipliers"):
        bitsmith.explore(proto(), {"Model": {"Strategy": "Resource"}}, reuse_factors=[1, 12], **grid)


@pytest.mark.slow
@pytest.mark.ci
def test_no_reuse_factors_are_chosen_to_fit(tmp_path: Path) -> None:
    usual, _ = three_layer(tmp_path, part="ice40hx8k", fit=True, check=False)
    assert not usual.directives.unrolled(usual.program)
    with pytest.raises(
        CapacityError, match=r"'ap_none' takes no reuse factors, without which .* does not fit ice40hx8k"
    ):
        three_layer(tmp_path, part="ice40hx8k", fit=True, check=False, interface="ap_none")


@pytest.mark.slow
def test_a_build_is_the_same_but_for_these(tmp_path: Path) -> None:
    """Circuit, netlist and bitstream of a board, whose serial port has the signals in a wrapper."""
    x = np.random.default_rng(0).uniform(-4, 4, (64, 4)).astype(np.float32)
    usual, bare = (
        converted(tmp_path / name, way, part="LFE5U-85F-6BG381C") for name, way in (("a", None), ("b", "ap_none"))
    )
    reports: list[Any] = [model.build(inputs=x, post_synth=True, bitstream=True) for model in (usual, bare)]
    cells, latency = [dict(report["Resources"]) for report in reports], reports[1]["Latency"]["Cycles"]
    assert cells[0].pop("FF") - cells[1].pop("FF") == latency == reports[0]["Latency"]["Cycles"]
    assert cells[0] == cells[1] and reports[0]["Files"].keys() == reports[1]["Files"].keys()
    assert reports[1]["Verification"]["Mismatches"] == 0 and "Bitstream" in reports[1]["Files"]
