"""The commands that convert a model: convert, explain, explore, config, predict, profile, plot.

All take the options of `bitsmith.cli.options`. The model is a file, the YAML of a project, or, where nothing is to be converted,
a project folder that ``convert`` wrote.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from bitsmith.base.files import SAVED_MODEL
from bitsmith.cli.options import ModelOptions, completing
from bitsmith.cli.terminal import FAILED, Terminal, command, error_document, said
from bitsmith.cli.wording import in_shell
from bitsmith.config.reading import leaves
from bitsmith.errors import ConfigError, ProjectError, nearest
from bitsmith.errors.remedies import Call, in_python

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from bitsmith.config.values import IOType
    from bitsmith.model import Model
    from bitsmith.model.points import Point

GRANULARITIES = ("model", "type", "name")
PLOTS = ("boxplot", "violinplot", "histogram")

_GENERATED = {"precision": "default_precision", "reuse_factor": "default_reuse_factor", "bits": "bits"}
"""Options that generated configurations have for each layer, and the arguments of the same meaning."""

_SHOWN_SAMPLES = 10

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Inputs = Annotated[Path, typer.Argument(metavar="INPUTS", help="Inputs, an .npy file, or an .npz file of several.")]


def convert(
    options: ModelOptions,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", "-o", help="The project folder to write.  [default: NAME-circuit for NAME.keras]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert a trained network and save it as a project."""
    with command(as_json) as terminal:
        from bitsmith.base.project import Project
        from bitsmith.cli.request import Request

        with terminal.working("converting"):
            request = Request.of(options, output_dir)
            model = request.conversion().model()
            with Project.open(model.output_dir, model.target.project_name, model.design().outline) as project:
                model.save(project.path(SAVED_MODEL))
        folder, misfit = output_dir or model.output_dir, _misfit(model)
        following = f"\nSaved in {folder}. Next: bitsmith build {folder}"
        if misfit:
            following += f" --fit\n{misfit}; --fit takes what does, here (fewer bits first) or at the build (reuse factors only)."
        document = {"project": str(folder), **_told(model), "misfit": misfit}
        terminal.show(document, _layers(model), Text(model.fidelity.summary), Text(following))


def explain(
    options: ModelOptions,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a project's YAML, with what makes the circuit fit.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what becomes of a model; write nothing but the proposal, if that is asked for."""
    with command(as_json) as terminal:
        from bitsmith.cli.request import Request
        from bitsmith.conversion.explanation import Explanation, in_words, of_model, refused, translated

        with terminal.working("reading"):
            request = Request.of(options)
            model = translated(request.conversion())
        document: dict[str, object] = {"file": str(request.model), "problems": []}
        if isinstance(model, Explanation):
            document["problems"] = [error_document(problem) for problem in model.problems]
            terminal.show(document, *refused(model, said))
            raise typer.Exit(FAILED)
        said_below = {*model.fidelity.words, *map(str, model.fidelity.bounds)}
        terminal.begin(_layers(model, said_below), model.fidelity)
        with terminal.working("estimating"):
            account = of_model(model)
        assert account.estimate is not None
        document |= {**_told(model), "estimate": account.estimate.size.section(), "fits": account.estimate.fits}
        if account.proposal is not None:
            document["proposal"] = account.proposal.document()
        document["choices"] = [
            {"HLSConfig": choice.configuration, "IOType": choice.io_type.value, "Estimate": choice.size.section()}
            for choice in account.choices
        ]
        shown = [Text(in_words(account, in_shell))]
        if account.choices and write is None:
            shown.append(Text("--write FILE writes the first of these as a project."))
        if write is not None:
            best = next(iter(account.choices), None)
            chosen, io_type = ({}, None) if best is None else (best.configuration, best.io_type.value)
            save_text(write, request.written(chosen, io_type))
            document["written"] = str(write)
            shown.append(Text(f"Written: {write}. {_next(write, options)}"))
        terminal.show(document, *shown)


def explore(
    options: ModelOptions,
    test: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="X.npy Y.npy", help="Test inputs and labels; else circuits are compared with the float model."
        ),
    ] = None,
    weight_bits: Annotated[str | None, typer.Option(metavar="N,N,...", help="Bits of weights to try.")] = None,
    result_bits: Annotated[str | None, typer.Option(metavar="N,N,...", help="Bits of results to try.")] = None,
    reuse_factors: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...", help="Reuse factors of the model to try; else the least with which circuits fit."
        ),
    ] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="The folder for page and picture.")] = Path(
        "exploration"
    ),
    as_json: Json = False,
) -> None:
    """Show accuracy against area and speed with different bits and reuse factors, as a page on which you choose."""
    with command(as_json) as terminal:
        from bitsmith.cli.request import Request
        from bitsmith.conversion.exploration import Tests, explored
        from bitsmith.emulate.batches import read_array
        from bitsmith.model.points import RESULTS, WEIGHTS, Grid

        request = Request.of(options)
        weights, results = _numbers(weight_bits, "--weight-bits"), _numbers(result_bits, "--result-bits")
        tests = Tests(None if test is None else tuple(map(read_array, test)))
        grid = Grid(weights or WEIGHTS, results or RESULTS, _numbers(reuse_factors, "--reuse-factors"))

        def calls(point: Point) -> dict[str, str]:
            return {
                "Command": _typed(options, request.project.io_type, point),
                "Project (YAML)": request.written(point.configuration, point.io_type.value),
                "Python": f"model = bitsmith.convert(..., {in_python(point.argued)})",
            }

        with terminal.working("exploring"):
            exploration = explored(request.conversion(), grid, tests, {}, calls)
        page = exploration.write(output_dir)
        written = Text(f"Choose on {page}; the picture is {page.with_suffix('.svg')}.")
        fits, asked = any(each.fits for each in exploration.points), request.project.io_type
        chosen = [Text(f"The best: {_typed(options, asked, exploration.best())}")] if fits else []
        terminal.show({**exploration.document(), "written": str(page)}, exploration, *chosen, written)


def _numbers(text: str | None, where: str) -> tuple[int, ...]:
    """Return numbers that are typed with commas between them."""
    try:
        return () if text is None else tuple(map(int, text.split(",")))
    except ValueError as error:
        raise ConfigError(f"{text!r}", where=where, accepted="numbers, such as 4,6,8") from error


def _typed(options: ModelOptions, asked: IOType, point: Point) -> str:
    """The command that converts with the same options, ``asked`` among them, and makes the circuit of a point."""
    files = [*([] if options.config is None else ["--config", str(options.config)])]
    files += [word for text in options.set_ or () for word in ("--set", text)]
    chosen = {name: value for name, value in options.chosen.items() if name not in ("fit", "bits", "io_type")}
    if "io_type" in options.chosen or point.io_type is not asked:
        chosen["io_type"] = point.io_type.value
    quoted = {name: value if isinstance(value, bool) else shlex.quote(str(value)) for name, value in chosen.items()}
    flags = in_shell(Call(None, tuple(quoted.items())))
    keys = [(".".join(path), value) for path, value in leaves(point.configuration) if "Bits" not in path]
    files += [word for key, value in keys for word in ("--set", f"{key}={value}")]
    words = ["bitsmith convert", *map(shlex.quote, [str(options.file), *files]), *filter(None, [flags])]
    return " ".join([*words, "--bits weight={},result={}".format(*point.ranges)])


def config(
    options: ModelOptions,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; standard output without.")] = None,
    granularity: Annotated[
        str, typer.Option(help="model, type or name.", autocompletion=completing(GRANULARITIES))
    ] = "name",
    schema: Annotated[
        bool, typer.Option("--schema", help="Write the JSON schema of all projects instead, for editors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a project's YAML with every key that has an effect, to edit and to convert."""
    with command(as_json) as terminal:
        if schema:
            _show_schema(terminal, output)
            return
        from bitsmith.cli.request import Request
        from bitsmith.config.building import config_from_network

        with terminal.working("reading"):
            request = Request.of(options.without(_GENERATED))
            network = replace(request.conversion(), config=None).network()
            generate: Callable[..., dict[str, object]] = config_from_network
            arguments = {
                argument: options.meant(name) for name, argument in _GENERATED.items() if name in options.chosen
            }
            generated = generate(network, granularity, backend=options.chosen.get("backend"), **arguments)
            text = request.defaulted(generated)
        if output is not None:
            save_text(output, text)
            terminal.show({"written": str(output)}, Text(f"Written: {output}. {_next(output, options)}"))
            return
        terminal.show({"configuration": text}, Text(text.rstrip("\n")))


def _show_schema(terminal: Terminal, output: Path | None) -> None:
    """Show the schema of projects, or write it."""
    from bitsmith.options.schema import schema

    text = json.dumps(schema(), indent=2)
    if output is None:
        terminal.show(schema(), Text(text))
        return
    save_text(output, f"{text}\n")
    first = f"# yaml-language-server: $schema={output}"
    terminal.show({"written": str(output)}, Text(f"Written: {output}. First line of a project: {first}"))


def predict(
    options: ModelOptions,
    inputs: Inputs,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write the outputs: .npy, or .npz of several.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute what the circuit computes, bit for bit."""
    with command(as_json) as terminal:
        import numpy as np

        from bitsmith.emulate.batches import read_arrays

        with terminal.working("computing"):
            x, model = read_arrays(inputs), model_of(options, terminal)  # what is not there says so at once
            started = time.perf_counter()
            found = model.predict(x)
            seconds = time.perf_counter() - started
        results = dict(zip(model.network.outputs, found if isinstance(found, list) else [found], strict=True))
        shapes = {name: list(values.shape) for name, values in results.items()}
        samples = next(iter(shapes.values()))[0]
        document: dict[str, object] = {"samples": samples, "outputs": shapes}
        summary = f"{samples:,} samples in {seconds:.2g} s"
        if output is None:
            document["values"] = {name: values.tolist() for name, values in results.items()}
            terminal.show(document, *(Text(_rows(name, values)) for name, values in results.items()), Text(summary))
            return
        if len(results) == 1 and output.suffix != ".npz":
            np.save(output, next(iter(results.values())))
        else:
            np.savez(output, allow_pickle=False, **results)
        document["written"] = str(output)
        terminal.show(document, Text(f"{summary}; written: {output}"))


def profile(
    options: ModelOptions,
    inputs: Annotated[
        Path | None, typer.Argument(metavar="[INPUTS]", help="Inputs, an .npy file, or an .npz file of several.")
    ] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="The folder for the figures.")] = Path(
        "profile"
    ),
    kind: Annotated[
        str, typer.Option(help="boxplot, violinplot, histogram.", autocompletion=completing(PLOTS))
    ] = "boxplot",
    as_json: Json = False,
) -> None:
    """Draw the distributions of weights and results beside their formats, and the differences from the float model."""
    with command(as_json) as terminal:
        from bitsmith import profiling
        from bitsmith.emulate.batches import read_arrays

        with terminal.working("drawing"):
            x = None if inputs is None else read_arrays(inputs)
            model = model_of(options, terminal)
            names = ("weights", "weights-in-the-circuit", "results", "results-in-the-circuit")
            drawn = profiling.numerical(hls_model=model, X=x, plot=kind)
            figures = {name: figure for name, figure in zip(names, drawn, strict=True) if figure is not None}
            if x is not None:
                figures["differences"] = profiling.compare(None, model, x)
            written = _write_figures(output_dir, figures)
        paths = [str(path) for path in written]
        terminal.show({"written": paths}, model.fidelity, *(Text(f"Written: {path}") for path in paths))


def plot(
    options: ModelOptions,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture: .svg; .png and .pdf need matplotlib.")
    ] = Path("model.svg"),
    as_json: Json = False,
) -> None:
    """Draw the layers of a model with their shapes and formats."""
    with command(as_json) as terminal:
        from bitsmith.utils import plot_model

        with terminal.working("drawing"):
            plot_model(
                model_of(options, terminal), str(output), show_shapes=True, show_layer_names=True, show_precision=True
            )
        terminal.show({"written": str(output)}, Text(f"Written: {output}"))


def model_of(options: ModelOptions, terminal: Terminal) -> Model:
    """The model of a project folder, or the one that the options ask for, with what its conversion notes."""
    from bitsmith.cli.request import Request

    if options.file is not None and options.file.is_dir():
        return saved_model(options.file)
    model = Request.of(options).conversion().model()
    terminal.note(model.notes)
    return model


def saved_model(project: Path) -> Model:
    """The model that ``convert`` saved in a project folder."""
    from bitsmith.model import Model

    if not (project / SAVED_MODEL).is_file():
        is_file, is_there = project.is_file(), project.exists()
        problem = "a file, not a project folder" if is_file else f"no {SAVED_MODEL} in it"
        inside = sorted(str(saved.parent) for saved in project.glob(f"*/{SAVED_MODEL}"))
        file = shlex.quote(str(project)) if is_file else "FILE"
        raise ProjectError(
            problem if is_there else "there is no such folder",
            where=str(project),
            accepted=nearest([project.name], inside),
            remedy=f"bitsmith convert {file} --output-dir DIR writes a project",
        )
    return Model.load(project, output_dir=project)


def _told(model: Model) -> dict[str, object]:
    """A converted model and its fidelity as plain values."""
    design = replace(model.design(), name=model.network.name)
    return {**asdict(design), "fidelity": model.fidelity.document()}


def _layers(model: Model, said_elsewhere: Collection[str] = ()) -> RenderableType:
    """The table of layers with the notes of the conversion, but those that are ``said_elsewhere``."""
    from bitsmith.report.summary import rows
    from bitsmith.report.terminal import LayersTable

    target, notes = model.target, tuple(note for note in model.notes if note not in said_elsewhere)
    layers = rows(model.network, model.program)
    return LayersTable(model.network.name, layers, target.part, target.clock_period_ns, notes)


def _next(project: Path, options: ModelOptions) -> str:
    """The command that converts a written project, with the data that decided its formats: those are in no project."""
    calibration = options.path("calibration")
    data = "" if calibration is None else f" --calibration {calibration}"
    return f"Next: bitsmith convert {project}{data}"


def _misfit(model: Model) -> str:
    """Return the resources that the part lacks; empty if the circuit fits."""
    from bitsmith.estimate.needs import missing

    part = model.target.known_part
    lacking = missing(model.estimate().size, part)
    return f"The circuit does not fit {part.name}: about {lacking} (estimated)" if lacking else ""


def _rows(name: str, values: NDArray[np.float64]) -> str:
    """The first samples of an output."""
    flat = values.reshape(len(values), -1)[:_SHOWN_SAMPLES]
    more = f"\n... and {len(values) - len(flat):,} more" if len(values) > len(flat) else ""
    return f"{name}:\n" + "\n".join(" ".join(f"{value:g}" for value in row) for row in flat) + more


def save_text(path: Path, text: str) -> None:
    from bitsmith.base.project import write_atomically

    write_atomically(path, text.encode())


def _write_figures(folder: Path, figures: Mapping[str, Figure]) -> list[Path]:
    if folder.exists() and not folder.is_dir():
        raise ConfigError("not a folder", where=str(folder), accepted="a new or existing folder")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=120, bbox_inches="tight")
    return paths
