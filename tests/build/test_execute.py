"""What a build says of its sources while it makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.base.progress import listening
from bitsmith.base.project import Project
from bitsmith.building.execute import Execution
from bitsmith.building.stages import Generated, Sources, Stage
from bitsmith.flows.run import Computed


@pytest.mark.parametrize(("seconds", "said"), [(75.0, "rtl: a circuit, in about 1 min 15 s"), (0.5, "rtl: a circuit")])
def test_sources_that_take_long_are_announced_with_their_time(tmp_path: Path, seconds: float, said: str) -> None:
    lines: list[str] = []
    sources = Sources("rtl", "a circuit", "digest", lambda: Generated({"rtl/a.sv": ""}), "rtl/*.*", seconds)
    with Project.open(tmp_path / "project", "name") as project:
        for known in (False, True):
            with listening(lambda line, kind: lines.append(line)):
                execution = Execution(project)
                execution.write(sources)
            assert [row.cached for row in execution.rows] == [known]
    first, done, again, cached = lines
    assert first == said and again == "rtl: a circuit"
    assert done.startswith("rtl: done in ") and cached.startswith("rtl: nothing has changed")


@pytest.mark.parametrize("reported", [True, False])
def test_stages_that_run_and_those_that_are_remembered_are_told_apart(tmp_path: Path, reported: bool) -> None:
    """Also those without a row of their own, whose time the next one has."""
    lines: list[str] = []
    stages = [
        Stage(name, name, tuple, lambda: Computed(lambda folder: ()), reported=reported or name == "last")
        for name in ("first", "last")
    ]
    with Project.open(tmp_path / "project", "name") as project:
        for known in (False, True):
            execution = Execution(project)
            with listening(lambda line, kind: lines.append(line)):
                for stage in stages:
                    execution.run(stage)
            assert [row.cached for row in execution.rows] == [known] * (1 + reported)
    assert sum("nothing has changed" in line for line in lines) == 1 + reported
