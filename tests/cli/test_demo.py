"""What the command of the demonstration asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bitsmith.cli import demo
from bitsmith.cli.commands import app
from bitsmith.errors import ProjectError


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ((), (True, True, True, True)),
        (("--no-cosim",), (False, True, True, True)),
        (("--no-synth",), (True, False, True, True)),
        (("--no-pnr",), (True, True, False, True)),
        (("--no-bitstream",), (True, True, True, False)),
    ],
)
def test_it_goes_the_whole_way_unless_told(
    said: tuple[str, ...], wanted: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[tuple[Path, bool, bool, bool, bool]]()

    def run(folder: Path, *, cosim: bool, synth: bool, pnr: bool, bitstream: bool) -> None:
        asked.append((folder, cosim, synth, pnr, bitstream))
        raise ProjectError("no more than that")

    monkeypatch.setattr(demo, "run", run)
    done = CliRunner().invoke(app, ["demo", *said])
    assert done.exit_code == 1 and "no more than that" in done.stderr
    assert asked == [(Path("demo-output"), *wanted)]
