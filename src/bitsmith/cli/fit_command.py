"""The command that finds the circuit of a model that meets a goal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bitsmith.base.files import SAVED_MODEL
from bitsmith.cli.model_commands import Json, save_text
from bitsmith.cli.options import ModelOptions
from bitsmith.cli.terminal import FAILED, command
from bitsmith.options.texts import read_setting

if TYPE_CHECKING:
    from bitsmith.model.points import Point


def fit(
    options: ModelOptions,
    data: Annotated[
        Path, typer.Option(metavar="FILE.npz", help="Inputs x and labels y, or x alone; a part of them is held out.")
    ],
    goal: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A bound, such as loss=0.01 or lut=20000, or minimize=latency."),
    ] = None,
    held_out: Annotated[float, typer.Option(help="Share of the data that decides.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Decides which samples are held out.")] = 0,
    tries: Annotated[int, typer.Option(help="Most networks that are tried.")] = 400,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Results, from which a fit that was stopped goes on.")
    ] = None,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="The project folder, with page and picture.")
    ] = Path("fitted"),
    as_json: Json = False,
) -> None:
    """Find the circuit that meets a goal with the least area, save it as a project, and show the trade-offs."""
    with command(as_json) as terminal:
        from bitsmith.base.project import Project
        from bitsmith.cli.request import Request
        from bitsmith.conversion.fit import Search, fitted, read_data
        from bitsmith.conversion.fitted import CONFIGURATION
        from bitsmith.model.goal import Goal

        request = Request.of(options, output_dir)

        def calls(point: Point) -> dict[str, str]:
            return {"Project (YAML)": request.written(point.configuration, point.io_type.value)}

        with terminal.working("fitting"):
            accepted = "KEY=VALUE, such as loss=0.01: a number, or a word"
            asked = Goal.of(dict(read_setting(text, "--goal", accepted) for text in goal or ()))
            outcome = fitted(
                request.conversion(), read_data(data), asked, Search(held_out, seed, tries, resume), {}, calls
            )
            if outcome.chosen is not None:
                model = outcome.model
                with Project.open(model.output_dir, model.target.project_name, model.design().outline) as project:
                    model.save(project.path(SAVED_MODEL))
            page = outcome.write(output_dir)
        document: dict[str, object] = {**outcome.document(), "written": str(page)}
        if outcome.chosen is None:
            terminal.show(document, outcome)
            raise typer.Exit(FAILED)
        best = outcome.best()
        save_text(output_dir / CONFIGURATION, request.written(best.configuration, best.io_type.value))
        following = f"Written: {page}, fitted.yml and calibration.npy beside it. Next: bitsmith build {output_dir}"
        terminal.show({**document, "project": str(output_dir)}, outcome, Text(following))
