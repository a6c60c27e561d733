"""The command line: convert, build, report, explain, demo, doctor.

Results go to standard output, progress and errors to standard error. Exit codes: 0 done, 1 an error that is explained,
2 wrong usage, 130 interrupted. With ``--json`` standard output holds one JSON document and nothing else.
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from bitsmith import __version__
from bitsmith.errors import BitsmithError, ConfigError, FidelityWarning, ProjectError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bitsmith.cli.doctor import Finding
    from bitsmith.config import BitsLike
    from bitsmith.explain import Explanation
    from bitsmith.fidelity.framework import Check as FrameworkCheck
    from bitsmith.model import Model

SAVED_MODEL = "model.json"
"""The saved model inside a project folder."""

_OK, _FAILED, _INTERRUPTED = 0, 1, 130

_PIPE_WIDTH = 130

app = typer.Typer(
    name="bitsmith",
    help="Trained neural networks in, verified bit-exact FPGA firmware out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ModelFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A trained model: .keras, .h5 or .json, .pt2, .onnx, .tflite.")
]
Weights = Annotated[Path | None, typer.Option(help="The weight file of a .json model of Keras.")]
Config = Annotated[Path | None, typer.Option(help="Precision and more, as YAML or JSON.")]
Bits = Annotated[str | None, typer.Option(help="Bits that auto keeps: 8, or weight=6,result=8.")]
Calibration = Annotated[Path | None, typer.Option(help="Real inputs (.npy), from which auto precision takes ranges.")]
Override = Annotated[
    bool, typer.Option("--override", help="Formats of single layers replace the quantizers of the model.")
]
Approximate = Annotated[
    bool, typer.Option("--allow-approximate", help="Take what cannot be translated exactly but nearly.")
]
Check = Annotated[
    bool | None, typer.Option(help="Compare with the framework's own outputs; by default where that costs little.")
]
PartName = Annotated[str | None, typer.Option(help="The FPGA, such as LFE5U-85F-6BG381C.")]
ClockPeriod = Annotated[float | None, typer.Option("--clock-period", min=0.1, help="Clock target in ns.")]
ProjectDir = Annotated[Path, typer.Argument(metavar="DIR", help="A project folder that convert wrote.")]


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command writes: ``show`` for its result, ``working`` for progress."""

    as_json: bool
    out: Console
    err: Console

    def show(self, document: Mapping[str, object], *renderables: RenderableType) -> None:
        """The result: as a document for machines, or rendered for people; text is not broken into lines."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, indent=1) + "\n")
            return
        for renderable in renderables:
            self.out.print(renderable, soft_wrap=isinstance(renderable, Text))

    def fail(self, found: Mapping[str, str], message: str) -> None:
        """An error: a message, and for machines its parts."""
        if self.as_json:
            sys.stdout.write(json.dumps({"error": found}, indent=1) + "\n")
        self.err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)

    @contextmanager
    def working(self, task: str) -> Iterator[Callable[[str], None]]:
        """Progress of ``task``; silent for machines."""
        if self.as_json:
            yield lambda line: None
            return
        from bitsmith.report.live import working

        with working(task, self.err) as update:
            yield update


def _array(path: Path | None) -> NDArray[np.generic] | None:
    """The numbers of an .npy file."""
    if path is None:
        return None
    from bitsmith.emulate.batches import read_array

    return read_array(path)


def _budget(text: str | None) -> BitsLike:
    """The budget that ``8`` or ``weight=6,result=8`` says."""
    if text is None:
        return None
    try:
        if "=" not in text:
            return int(text)
        return {key.strip(): int(value) for key, _, value in (part.partition("=") for part in text.split(","))}
    except ValueError as error:
        raise ConfigError(f"{text[:60]!r}", where="--bits", accepted="8, or weight=6,result=8") from error


def _described(model: Model) -> dict[str, object]:
    """A converted model as plain values."""
    from bitsmith.report.summary import design_to_json

    return design_to_json(replace(model.design(), name=model.network.name))


def _told(model: Model) -> dict[str, object]:
    """The same with its fidelity."""
    return {**_described(model), "fidelity": model.fidelity.document()}


def _layers(model: Model) -> RenderableType:
    from bitsmith.report.summary import rows
    from bitsmith.report.terminal import LayersTable

    target = model.target
    layers = rows(model.network, model.program)
    return LayersTable(model.network.name, layers, target.part, target.clock_period_ns, model.notes)


@contextmanager
def _command(as_json: bool) -> Iterator[Terminal]:
    """Runs a command's body; an error raised on purpose becomes a message and exit code 1."""
    width = None if sys.stdout.isatty() else shutil.get_terminal_size((_PIPE_WIDTH, 1)).columns
    terminal = Terminal(as_json, Console(width=width), Console(stderr=True))

    usual = warnings.showwarning

    def shown(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, FidelityWarning):
            usual(message, category, filename, lineno, file, line)
            return
        terminal.err.print(Text.assemble(("warning: ", "bold yellow"), str(message)), soft_wrap=True)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", FidelityWarning)
            warnings.showwarning = shown
            yield terminal
    except BitsmithError as error:
        terminal.fail(_error(error), str(error))
        raise typer.Exit(_FAILED) from None
    except BrokenPipeError:
        raise  # whoever read our output has seen enough
    except OSError as error:
        terminal.fail({"type": type(error).__name__, "found": str(error)}, str(error))
        raise typer.Exit(_FAILED) from None
    except KeyboardInterrupt:
        terminal.err.print(Text("interrupted"))
        raise typer.Exit(_INTERRUPTED) from None


def _error(error: BitsmithError) -> dict[str, str]:
    return {
        "type": type(error).__name__,
        "found": error.found,
        "where": error.where,
        "accepted": error.accepted,
        "remedy": error.remedy,
    }


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"bitsmith {__version__}\n")
        raise typer.Exit(_OK)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Trained neural networks in, verified bit-exact FPGA firmware out."""


@app.command()
def convert(
    file: ModelFile,
    output_dir: Annotated[Path, typer.Option(help="The project folder to write.")] = Path("my-hls-test"),
    weights: Weights = None,
    config: Config = None,
    bits: Bits = None,
    calibration: Calibration = None,
    part: PartName = None,
    board: Annotated[
        str | None, typer.Option(help="For bitstreams: ulx3s-85f, icebreaker, ..., or a .toml file with a board.")
    ] = None,
    clock_period: ClockPeriod = None,
    backend: Annotated[str, typer.Option(help="rtl, or an HLS tool: vitis, oneapi, ...")] = "rtl",
    project_name: Annotated[str, typer.Option(help="Name of the circuit.")] = "myproject",
    check: Check = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if the circuit is not what the model is.")] = False,
    override: Override = False,
    allow_approximate: Approximate = False,
    rounding: Annotated[
        str | None, typer.Option(help="Of fully connected layers of TensorFlow Lite: single, or double as before 2.20.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert a trained network and save it as a project."""
    with _command(as_json) as terminal:
        from bitsmith.conversion import convert as convert_model
        from bitsmith.project import Project

        with terminal.working("converting"):
            model = convert_model(
                file,
                output_dir,
                config,
                _array(calibration),
                backend,
                part,
                clock_period,
                weights=weights,
                board=board,
                project_name=project_name,
                bits=_budget(bits),
                check="auto" if check is None else check,
                strict=strict,
                override=override,
                allow_approximate=allow_approximate,
                rounding=rounding,
            )
            with Project.open(model.output_dir, project_name) as project:
                model.save(project.path(SAVED_MODEL))
        following = Text(f"\nSaved in {output_dir}. Next: bitsmith build {output_dir}")
        fidelity = Text(model.fidelity.summary)
        terminal.show({"project": str(output_dir), **_told(model)}, _layers(model), fidelity, following)


@app.command()
def build(
    project: ProjectDir,
    synth: Annotated[bool | None, typer.Option(help="Synthesise; for HLS C++ by the vendor's tool.")] = None,
    cosim: Annotated[bool | None, typer.Option(help="Compare the circuit with the emulator, bit for bit.")] = None,
    csim: Annotated[bool | None, typer.Option(help="Compile HLS C++ and compare it with the emulator.")] = None,
    export: Annotated[bool, typer.Option("--export", help="Pack the vendor's circuit for other designs.")] = False,
    vsynth: Annotated[bool, typer.Option("--vsynth", help="Logic synthesis of the vendor's circuit.")] = False,
    pnr: Annotated[bool, typer.Option("--pnr", help="Place and route, which measures Fmax.")] = False,
    bitstream: Annotated[bool, typer.Option("--bitstream", help="Make a configuration file for the part.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Run even what is estimated to take hours.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Run stages again whose results still hold.")] = False,
    timeout: Annotated[float | None, typer.Option(min=0.001, help="Seconds that each program may run.")] = None,
    as_json: Json = False,
) -> None:
    """Generate the circuit of a project and run the tools on it."""
    with _command(as_json) as terminal:
        from bitsmith.model import Model

        if not (project / SAVED_MODEL).is_file():
            raise ProjectError(
                f"no {SAVED_MODEL} in it",
                where=str(project),
                remedy="bitsmith convert FILE --output-dir writes a project",
            )
        model = Model.load(project / SAVED_MODEL, output_dir=project)
        with terminal.working("building") as progress:
            report = model.build(
                reset=reset,
                csim=csim,
                synth=synth,
                cosim=cosim,
                export=export,
                vsynth=vsynth,
                pnr=pnr,
                bitstream=bitstream,
                force=force,
                progress=progress,
                timeout=timeout,
            )
        terminal.show(dict(report), report)


@app.command()
def report(project: ProjectDir, as_json: Json = False) -> None:
    """Show what a build measured."""
    with _command(as_json) as terminal:
        from bitsmith.report import read_report

        found = read_report(project)
        terminal.show(dict(found), found)


@app.command()
def explain(
    file: ModelFile,
    weights: Weights = None,
    config: Config = None,
    bits: Bits = None,
    calibration: Calibration = None,
    part: PartName = None,
    clock_period: ClockPeriod = None,
    check: Check = None,
    override: Override = False,
    allow_approximate: Approximate = False,
    as_json: Json = False,
) -> None:
    """Show what becomes of a model; write nothing."""
    with _command(as_json) as terminal:
        from bitsmith.explain import explain as explain_model
        from bitsmith.report.terminal import LayersTable

        with terminal.working("reading"):
            chosen: FrameworkCheck = "auto" if check is None else check
            told = explain_model(
                *(file, weights, config, _array(calibration), part, clock_period),
                bits=_budget(bits),
                check=chosen,
                override=override,
                allow_approximate=allow_approximate,
            )
        document: dict[str, object] = {"file": str(file), "problems": [_error(problem) for problem in told.problems]}
        if told.model is not None and told.size is not None:
            size = told.size.section()
            document |= {**_told(told.model), "estimate": size, "fits": told.fits}
            if told.proposal is not None:
                document["proposal"] = told.proposal.document()
            terminal.show(document, _layers(told.model), told.model.fidelity, Text(_size_said(told)))
            return
        heading = Text("These cannot be translated:", style="bold")
        table = [LayersTable(file.name, told.layers)] if told.layers else []
        terminal.show(document, *table, heading, *(Text(f"- {problem}") for problem in told.problems))
        raise typer.Exit(_FAILED)


def _size_said(told: Explanation) -> str:
    """How large the circuit is, and what would fit if it does not."""
    assert told.model is not None and told.size is not None
    size, part = told.size, told.model.target.part
    said = f"Circuit as configured: about {size.lut:,} LUT, {size.ff:,} FF, {size.dsp:,} DSP, {size.bram:,} BRAM (estimate)"
    if told.fits:
        return said
    if told.proposal is None:
        return f"{said}\nThis does not fit {part}, nor does it with any reuse factors."
    fit, interval, latency = told.proposal.fit, told.proposal.interval, told.proposal.latency
    return (
        f"{said}\nThis does not fit {part} with room for routing. Estimated to fit: {fit.description}: "
        f"about {fit.size.lut:,} LUT, {fit.size.ff:,} FF, {fit.size.dsp:,} DSP, {fit.size.bram:,} BRAM; "
        f"a result every {interval:,} cycles, after {latency:,}"
    )


@app.command()
def demo(
    output_dir: Annotated[Path, typer.Option(help="The project folder to write.")] = Path("demo-output"),
    pnr: Annotated[bool, typer.Option(help="Place and route.")] = True,
    bitstream: Annotated[bool, typer.Option(help="Make a configuration file for the part.")] = True,
    as_json: Json = False,
) -> None:
    """Build the digits classifier that comes along."""
    with _command(as_json) as terminal:
        from bitsmith.cli.demo import run

        with terminal.working("digits classifier") as progress:
            done = run(output_dir, pnr=pnr, bitstream=bitstream, progress=progress)
        page = str(done.page.resolve())
        terminal.show({**done.report, "Page": page}, done.report, Text(f"Report with pictures: {page}"))


@app.command()
def doctor(as_json: Json = False) -> None:
    """List tools and packages, and how to install those missing."""
    with _command(as_json) as terminal:
        from bitsmith.cli.doctor import examine

        with terminal.working("looking for tools"):
            findings = examine()
        document = {"findings": [finding.as_json() for finding in findings]}
        terminal.show(document, *(_finding(finding) for finding in findings))


def _finding(finding: Finding) -> Text:
    """One line for what is there, more for what is missing and how to get it."""
    if finding.found:
        return Text.assemble(("found    ", "green"), f"{finding.name} {finding.version}", (f"  {finding.where}", "dim"))
    lines = [f"{finding.name}: {finding.problem}"]
    lines += [f"         {finding.needed_for}"] if finding.needed_for else []
    lines += [f"         install: {finding.install}"] if finding.install else []
    return Text.assemble(("missing  ", "yellow"), "\n".join(lines))


def main() -> None:
    """The entry point of the command ``bitsmith``."""
    app()
