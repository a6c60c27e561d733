"""What a build says of its sources while it makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.base.progress import listening
from bitsmith.base.project import Project
from bitsmith.building.execute import Execution
from bitsmith.building.stages import Generated, Sources


@pytest.mark.parametrize(("seconds", "said"), [(75.0, "rtl: a circuit, in about 1 min 15 s"), (0.5, "rtl: a circuit")])
def test_sources_that_take_long_are_announced_with_their_time(tmp_path: Path, seconds: float, said: str) -> None:
    lines: list[str] = []
    sources = Sources("rtl", "a circuit", "digest", lambda: Generated({"rtl/a.sv": ""}), "rtl/*.*", seconds)
    with Project.open(tmp_path / "project", "name") as project:
        for _ in range(2):
            with listening(lambda line, kind: lines.append(line)):
                Execution(project).write(sources)
    first, done, again, cached = lines
    assert first == said and again == "rtl: a circuit"
    assert done.startswith("rtl: done in ") and cached.startswith("rtl: nothing has changed")
