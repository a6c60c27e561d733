"""A goal for the cycles of a pipeline, from the user to the report."""

from __future__ import annotations

from pathlib import Path

import pytest

import bitsmith
from bitsmith.config.latency import Latency
from bitsmith.errors import ConfigError
from bitsmith.model import Model
from bitsmith.netlist.pipelined import StageGoal
from tests.any_models import proto


def converted(folder: Path, latency: int | str | None, **further: str) -> Model:
    return bitsmith.convert(
        proto(),
        folder,
        {"Model": {"Precision": "fixed<8,3>"}},
        clock_period=5.0,
        latency=latency,
        check=False,
        **further,
    )


def notes(model: Model) -> str:
    design = model.build(synth=False, cosim=False).design
    assert design is not None
    return "\n".join(design.notes)


def test_a_pipeline_takes_no_more_cycles_and_says_what_that_costs(tmp_path: Path) -> None:
    def said(latency: int | str | None) -> str:
        return notes(converted(tmp_path, latency))

    assert "Latency" not in said(None) and "Latency" not in said(99)
    for goal in (2, "14ns"):
        assert "in 2 cycles, for Latency, a stage has" in said(goal) and "ns may be reached" in said(goal)


def test_a_goal_is_kept_with_the_model(tmp_path: Path) -> None:
    model = converted(tmp_path / "a", "14 ns")
    assert (model.target.latency, model.directives.latency) == (Latency(2), StageGoal(2, exactly=False))
    model.save(tmp_path / "model.json")
    assert Model.load(tmp_path / "model.json").target == model.target


@pytest.mark.parametrize("further", [{"io_type": "io_stream"}, {"backend": "vitis"}])
def test_where_there_is_no_pipeline_a_goal_is_refused(further: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Latency with (backend 'vitis'|io_type 'io_stream')"):
        converted(tmp_path, 4, **further)


def test_shared_multipliers_take_their_cycles(tmp_path: Path) -> None:
    config = {"Model": {"Precision": "fixed<8,3>", "ReuseFactor": 12, "Strategy": "Resource"}}
    model = bitsmith.convert(proto(), tmp_path, config, latency=3, check=False)
    assert "more than the 3 of Latency" in notes(model)


def test_a_clock_that_is_no_period_is_questioned(tmp_path: Path) -> None:
    def asked(period: float) -> Model:
        return bitsmith.convert(proto(), tmp_path, precision="fixed<8,3>", clock_period=period, check=False)

    assert not asked(5.0).notes and not asked(20.0).notes
    (note,) = asked(100.0).notes
    assert note == "clock_period is in nanoseconds: 100 ns is 10 MHz. For 100 MHz give 10."
    with pytest.raises(ConfigError, match=r"0.5 ns \(2000 MHz\)") as refused:
        asked(0.5)
    assert asked(float(refused.value.accepted.split()[2])).target.clock_period_ns < 3.0
