"""The commands that find circuits of a model: one that meets a goal, or many configurations, converted and built."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bitsmith.base.files import SAVED_MODEL
from bitsmith.cli.model_commands import Json, save_text
from bitsmith.cli.options import FLAGS, ModelOptions
from bitsmith.cli.terminal import FAILED, command
from bitsmith.options.building import BuildOptions
from bitsmith.options.option import among
from bitsmith.options.table import OPTIONS
from bitsmith.options.texts import read_setting

if TYPE_CHECKING:
    from bitsmith.model.points import Point


def sweep(
    options: ModelOptions,
    tried: Annotated[
        list[str],
        typer.Option("--try", metavar="KEY=VALUE,...", help="Values of a key, such as Model.ReuseFactor=1,4,16."),
    ],
    test: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="X.npy Y.npy", help="Test inputs and labels, for the loss.")
    ] = None,
    minimize: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Figures to compare by, such as lut,latency_ns,loss.")
    ] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Run no tool: estimate all circuits.")] = False,
    trials: Annotated[
        int | None, typer.Option(help="Let Optuna choose so many of all combinations; default: try all.")
    ] = None,
    storage: Annotated[str | None, typer.Option(metavar="URL", help="Storage of the study of Optuna.")] = None,
    seed: Annotated[int, typer.Option(help="Decides what Optuna tries.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Trials at the same time; default: one per core.")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Scheduler of Dask, on whose workers trials run.")
    ] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="The folder of all trials.")] = Path("sweep"),
    as_json: Json = False,
) -> None:
    """Convert and build a model with many configurations, and show the best ones; started again, it goes on."""
    with command(as_json, resumes=True) as terminal:
        from bitsmith.cli.request import Request
        from bitsmith.emulate.batches import read_array
        from bitsmith.sweeps.sweep import MINIMIZE, Plan, Tries, plain, swept

        request, asked = Request.of(options), among(BuildOptions, options.chosen)
        arguments = {
            option.name: options.meant(option.name)
            for option in OPTIONS
            if option.key is None and option.name in options.chosen and option.name != "calibration"
        }
        builds = None if estimate else plain({name: value for name, value in asked.items() if name not in FLAGS})
        figures = MINIMIZE if minimize is None else tuple(minimize.split(","))
        plan = Plan.of(
            {key: value for key, value in request.content.items() if value is not None},
            arguments,
            options.path("calibration"),
            None if test is None else tuple(map(read_array, test)),
            builds,
            figures,
        )
        with terminal.working("sweeping"):
            values = {key: list(each) for key, each in map(_values, tried) if isinstance(each, list)}
            tries = Tries(values, trials, storage, seed)
            found = swept(plan, output_dir, tries, workers, cluster)
        table = Text(f"All trials: {output_dir / 'sweep.csv'}")
        terminal.show(found.document(), found, table)
        if not found.front:
            raise typer.Exit(FAILED)


def calibrate(
    sweeps: Annotated[list[Path], typer.Argument(metavar="SWEEP...", help="Folders of sweeps, or their sweep.json.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.json", help="The file to write, for --estimates.")
    ] = Path("estimates.json"),
    family: Annotated[str | None, typer.Option(help="Device family; default: that of all circuits.")] = None,
    as_json: Json = False,
) -> None:
    """Correct estimates of a device family by what sweeps have measured."""
    with command(as_json) as terminal:
        from bitsmith.sweeps.calibration import calibrated, save

        correction = calibrated(sweeps, family)
        save(correction, output)
        following = f"Written: {output}. Next: bitsmith convert --estimates {output} ..."
        terminal.show(asdict(correction), Text(f"{correction.family}: {correction.said}"), Text(following))


def _values(text: str) -> tuple[str, object]:
    """Return a key with the values that are typed."""
    accepted = "KEY=VALUE,VALUE, such as Model.ReuseFactor=1,4,16; values with commas in quotes"
    return read_setting(text, "--try", accepted, several=True)


def fit(
    options: ModelOptions,
    data: Annotated[
        Path,
        typer.Option(metavar="FILE.npz", help="Inputs x and labels y, or inputs alone; a part of them is held out."),
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
        from bitsmith.conversion.fit import Search, fitted
        from bitsmith.conversion.fitted import CONFIGURATION
        from bitsmith.model.goal import Goal
        from bitsmith.options.project import names_of

        request = Request.of(options, output_dir)

        def calls(point: Point) -> dict[str, str]:
            return {"Project (YAML)": request.written(point.configuration, point.io_type.value)}

        with terminal.working("fitting"):
            # A folder that cannot be written says so before the search.
            with Project.open(*names_of(request.project, request.named.source)):
                accepted = "KEY=VALUE, such as loss=0.01: a number, or a word"
                asked = Goal.of(dict(read_setting(text, "--goal", accepted) for text in goal or ()))
                outcome = fitted(request.conversion(), data, asked, Search(held_out, seed, tries, resume), {}, calls)
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
