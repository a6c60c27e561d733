"""The command line: its commands, and what wrong usage says.

Results go to standard output, progress and errors to standard error. Exit codes: 0 done, 1 an error that is explained,
2 wrong usage, 130 interrupted. With ``--json`` standard output holds one JSON document and nothing else.
"""

from __future__ import annotations

import json
import sys
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

import typer
from rich.text import Text
from typer.core import TyperGroup

from bitsmith import __version__
from bitsmith.cli import model_commands, search_commands
from bitsmith.cli.model_commands import Json, saved_model
from bitsmith.cli.options import BUILD_FLAGS, FLAGS, Building, Expanded
from bitsmith.cli.terminal import FAILED, OK, command, uninterrupted
from bitsmith.errors import ProjectError
from bitsmith.options.building import BuildOptions
from bitsmith.options.option import among

if TYPE_CHECKING:
    from bitsmith.cli.doctor import Finding

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every line that a tool writes.")]
ProjectDir = Annotated[Path, typer.Argument(metavar="DIR", help="A project folder that convert wrote.")]


def build(
    building: Building,
    timeout: Annotated[float | None, typer.Option(min=0.001, help="Seconds that each program may run.")] = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Generate the circuit of a project and run the tools on it."""
    asked = building.asked
    if asked.get("synth") is False and asked.keys() & {"post_synth", "pnr"}:
        raise typer.BadParameter("--post-synth and --pnr need synthesis", param_hint="--no-synth")
    with command(as_json, verbose=verbose, resumes=True) as terminal:
        model = saved_model(building.project)
        with terminal.working("building"):
            report = model.build(timeout=timeout, **among(BuildOptions, asked))
        terminal.show(dict(report), report)


def write(project: ProjectDir, as_json: Json = False) -> None:
    """Write the circuit of a project with a Makefile that runs the tools; run none."""
    with command(as_json) as terminal:
        model = saved_model(project)
        with terminal.working("writing"):
            folder = model.write()
        following = f"On a machine with the tools: make -C {folder}{'' if model.target.board is None else ' bitstream'}"
        terminal.show({"project": str(folder)}, Text(f"Written: {folder}. {following}"))


def report(
    project: ProjectDir,
    details: Annotated[bool, typer.Option("--details", help="Show all figures and tables.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a build measured."""
    with command(as_json) as terminal:
        from bitsmith.report import read_report

        measured = read_report(project)
        terminal.show(dict(measured), Text(measured.details()) if details else measured)


def open_report(project: ProjectDir, as_json: Json = False) -> None:
    """Show the report's page in a browser."""
    with command(as_json) as terminal:
        page = project / "report.html"
        if not page.is_file():
            raise ProjectError("no report.html in it", where=str(project), remedy="bitsmith build DIR writes one")
        shown = page.resolve().as_uri()
        opened = not as_json and webbrowser.open(shown)
        terminal.show({"page": shown}, Text(f"{'Opened' if opened else 'The page is'} {shown}"))


def demo(
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="The project folder to write.")] = Path(
        "demo-output"
    ),
    cosim: Annotated[bool, typer.Option(help="Compare the circuit with the emulator, bit for bit.")] = True,
    synth: Annotated[bool, typer.Option(help="Synthesize; without it nothing is placed.")] = True,
    pnr: Annotated[bool, typer.Option(help="Place and route.")] = True,
    bitstream: Annotated[bool, typer.Option(help="Make a configuration file for the part.")] = True,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Build the bundled digits classifier."""
    with command(as_json, verbose=verbose, resumes=True) as terminal:
        from bitsmith.cli.demo import run

        with terminal.working("digits classifier"):
            done = run(output_dir, cosim=cosim, synth=synth, pnr=pnr, bitstream=bitstream)
        page = str(done.page.resolve())
        terminal.show({**done.report, "Page": page}, done.report, Text(f"Report with pictures: {page}"))


def boards(as_json: Json = False) -> None:
    """List the boards that --board knows, with their parts."""
    from bitsmith.devices.board import BOARDS, any_board, serial_boards

    with command(as_json) as terminal:
        known = {name: {"part": any_board(name).part.name, "serial": name in serial_boards()} for name in BOARDS}
        rows = [
            f"{name:<18}{of['part']:<26}{'serial port, open tools' * bool(of['serial'])}" for name, of in known.items()
        ]
        terminal.show(known, Text("\n".join(map(str.rstrip, rows))))


def doctor(
    board: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Test the board of this project instead, from the machine it is in."),
    ] = None,
    port: Annotated[str | None, typer.Option(help="The serial port of a board that has no processor.")] = None,
    as_json: Json = False,
) -> None:
    """List tools and packages, and how to install those missing; or say what is wrong with a board."""
    if board is None and port is not None:
        raise typer.BadParameter("it is of a board: --board DIR", param_hint="--port")
    with command(as_json) as terminal:
        if board is not None:
            from bitsmith.cli.board import examine_board

            diagnosis = examine_board(board, port)
            mark = ("wrong    ", "bold red") if diagnosis.fault else ("right    ", "green")
            terminal.show({"fault": diagnosis.fault, "said": diagnosis.said}, Text.assemble(mark, diagnosis.said))
            raise typer.Exit(FAILED if diagnosis.fault else OK)
        from bitsmith.cli.doctor import examine, verdict

        with terminal.working("looking for tools"):
            findings = examine()
        said = verdict(findings)
        document = {"verdict": said, "findings": [asdict(finding) for finding in findings]}
        terminal.show(document, Text(said, style="bold"), *(_finding(finding) for finding in findings))


def vendor_check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the kit.")],
    read: Annotated[bool, typer.Option("--read", help="Read what the tools left in it.")] = False,
    tool: Annotated[list[str] | None, typer.Option(help="Only this tool; may be given several times.")] = None,
    as_json: Json = False,
) -> None:
    """Write small designs for vendors' tools, to be run elsewhere; or read what the tools said of them."""
    with command(as_json) as terminal:
        from bitsmith.cli.vendor_check import read_kit, write_kit

        if not read:
            with terminal.working("writing designs"):
                runner = write_kit(folder, tool or ())
            said = f"Where the tools are, start: python3 {runner}. Then: bitsmith vendor-check {folder} --read"
            terminal.show({"runner": str(runner)}, Text(said))
            return
        with terminal.working("reading reports"):
            rows = [asdict(row) for row in read_kit(folder)]
        terminal.show({"designs": rows}, _table(rows))


def _table(rows: Sequence[Mapping[str, object]]) -> Text:
    """Rows of equal keys as a table in Markdown, to be sent on; empty where nothing is known."""
    heads = [name.replace("_", " ") for name in rows[0]] if rows else []
    lines = [heads, ["---"] * len(heads), *([_cell(value) for value in row.values()] for row in rows)]
    return Text("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")


def _finding(finding: Finding) -> Text:
    """One line for what is there, more for what is missing and how to get it."""
    if finding.found:
        return Text.assemble(("found    ", "green"), f"{finding.name} {finding.version}", (f"  {finding.where}", "dim"))
    lines = [f"{finding.name}: {finding.problem}"]
    lines += [f"         {finding.needed_for}"] if finding.needed_for else []
    lines += [f"         install: {finding.install}"] if finding.install else []
    return Text.assemble(("missing  ", "yellow"), "\n".join(lines))


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"bitsmith {__version__}\n")
        raise typer.Exit(OK)


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Trained neural networks in, verified bit-exact FPGA firmware out."""


@runtime_checkable
class _WrongUsage(Protocol):
    """The errors of Typer, whose class has had several names."""

    exit_code: int

    def format_message(self) -> str:
        """The message alone."""

    def show(self) -> None:
        """Print usage and message to standard error."""


_FOLDER = "OutputDir="
"""The key of the project folder, whose value follows."""

_HLS4ML: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "config": {
        **dict.fromkeys(("-m", "--model"), ()),
        **dict.fromkeys(("-p", "--project"), ("--project-name",)),
        **dict.fromkeys(("-d", "--dir"), ("--set", _FOLDER)),
        **dict.fromkeys(("-f", "--fpga"), ("--part",)),
        "-bo": ("--board",),
        "-ba": ("--backend",),
        "--clock": ("--clock-period",),
        "-g": ("--granularity",),
        "-x": ("--precision",),
        "-r": ("--reuse-factor",),
        "-w": ("--weights",),
    },
    "build": {
        **dict.fromkeys(("-p", "--project"), ()),
        **dict.fromkeys(("-c", "--simulation"), ("--csim",)),
        **dict.fromkeys(("-s", "--synthesis"), ("--synth",)),
        **dict.fromkeys(("-r", "--co-simulation", "--validation"), ("--cosim",)),
        "-e": ("--export",),
        **dict.fromkeys(("--vivado-synthesis", "-q", "--quartus-synthesis"), ("--vsynth",)),
        **dict.fromkeys(("-a", "--all"), ("--csim", "--synth", "--cosim", "--export", "--vsynth")),
        **dict.fromkeys(("-l", "--list-options"), ("--help",)),
    },
    "report": {
        **dict.fromkeys(("-p", "--project"), ()),
        **dict.fromkeys(("-f", "--full"), ("--details",)),
        **dict.fromkeys(("-l", "--list-options"), ("--help",)),
    },
}
"""Options of hls4ml's commands, and the words that they are here; none if what follows is the argument."""


def _in_our_words(words: Sequence[str]) -> list[str]:
    """A command line with our names of hls4ml's options; in its ``config -c 5``, the number is the clock's."""
    names = _HLS4ML.get(words[0], {}) if words else {}
    own = list[str]()
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        if own[-1:] == [_FOLDER]:
            own[-1] += word
            continue
        clock = word == "-c" and words[0] == "config" and following.isdecimal()
        own += ("--clock-period",) if clock else names.get(word, (word,))
    return own


class _Group(TyperGroup):
    """All commands; what is wrong with their usage is a JSON document, too, where one is wanted."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: object,
    ) -> object:
        """Run a command; exits."""
        words = _in_our_words(sys.argv[1:] if args is None else args)
        if not standalone_mode or "--json" not in words:
            return super().main(words, prog_name, complete_var, standalone_mode, windows_expand_args, **extra)
        try:
            code = super().main(words, prog_name, complete_var, False, windows_expand_args, **extra)
        except Exception as error:
            if not isinstance(error, _WrongUsage):
                raise
            found = {"type": "UsageError", "found": error.format_message(), "where": "command line"}
            sys.stdout.write(json.dumps({"error": found}, indent=1) + "\n")
            error.show()
            sys.exit(error.exit_code)
        sys.exit(code if isinstance(code, int) else OK)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read a command line."""
        with uninterrupted():
            return super().make_context(*args, **extra)

    def invoke(self, *args: Any) -> Any:
        """Run a command's function, where it imports, too."""
        with uninterrupted():
            return super().invoke(*args)


app = typer.Typer(
    name="bitsmith",
    cls=_Group,
    help="Trained neural networks in, verified bit-exact FPGA firmware out.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.callback()(_options)


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it runs, and the lines after the program's name that its help shows as examples, at least one."""

    run: Callable[..., None]
    examples: tuple[str, *tuple[str, ...]]

    def lines(self, name: str) -> tuple[str, ...]:
        """The examples as they are typed, for the command's name."""
        return tuple(f"bitsmith {name} {words}".rstrip() for words in self.examples)


COMMANDS: Mapping[str, Command] = {
    "convert": Command(
        Expanded(model_commands.convert),
        ("model.keras --calibration x.npy", "model.onnx --board ulx3s-85f --bits 8 --fit", "project.yml"),
    ),
    "build": Command(
        Expanded(build, Building, BUILD_FLAGS),
        ("model-circuit", "model-circuit --pnr", "model-circuit --no-synth --trace"),
    ),
    "write": Command(write, ("model-circuit",)),
    "report": Command(report, ("model-circuit", "model-circuit --details", "model-circuit --json")),
    "open": Command(open_report, ("model-circuit",)),
    "explain": Command(
        Expanded(model_commands.explain),
        ("model.keras --calibration x.npy", "model.tflite --board icebreaker --write project.yml"),
    ),
    "explore": Command(
        Expanded(model_commands.explore),
        (
            "model.keras --calibration x.npy --test x_test.npy y_test.npy",
            "model.onnx --weight-bits 4,6,8 --result-bits 8,10",
        ),
    ),
    "fit": Command(
        Expanded(search_commands.fit),
        (
            "model.keras --data data.npz --goal loss=0.01 --part LFE5U-45F-6BG381C",
            "model.keras --data data.npz --goal lut=20000 --goal minimize=latency",
        ),
    ),
    "sweep": Command(
        Expanded(search_commands.sweep, flags={**BUILD_FLAGS, **FLAGS}),
        (
            "model.keras --try Model.ReuseFactor=1,4,16 --estimate",
            "model.keras --try Model.Bits=6,8 --test x_test.npy y_test.npy --minimize lut,loss",
        ),
    ),
    "calibrate": Command(search_commands.calibrate, ("sweep -o estimates.json",)),
    "config": Command(
        Expanded(model_commands.config), ("model.keras -o project.yml", "model.keras --granularity name -o project.yml")
    ),
    "predict": Command(
        Expanded(model_commands.predict),
        ("model-circuit x.npy -o results.npy", "model.keras x.npy --bits 8 -o results.npy"),
    ),
    "profile": Command(Expanded(model_commands.profile), ("model-circuit x.npy", "model.keras x.npy --bits 8")),
    "plot": Command(Expanded(model_commands.plot), ("model.keras", "model-circuit -o layers.svg")),
    "demo": Command(demo, ("", "--no-pnr --no-bitstream")),
    "boards": Command(boards, ("", "--json")),
    "doctor": Command(doctor, ("", "--board model-circuit --port /dev/ttyUSB0")),
    "vendor-check": Command(vendor_check, ("kit --tool vivado", "kit --read")),
}
for name, each in COMMANDS.items():
    # "\b" keeps the lines of an epilogue apart.
    app.command(name, epilog="\n  ".join(("\b\nExamples:", *each.lines(name))))(each.run)


def main() -> None:
    """The entry point of the command ``bitsmith``."""
    app()
