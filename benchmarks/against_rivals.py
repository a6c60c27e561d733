"""Whole networks, unrolled, beside da4ml and alkaid: same weights, types and stages, after Yosys, no block memory.

The rivals need an environment of their own, whose Python is the first argument::

    python -m venv rivals && rivals/bin/pip install da4ml alkaid
    python benchmarks/against_rivals.py rivals/bin/python [NAME...] [--models FILE...] [--family xcup] [--stages N]

Networks are those of ``circuits.py``, up to the first operation that a rival has no symbol for (softmax). What a rival's
interpreter makes of random samples must equal our emulator's outputs. Registers are counted alike: da4ml's at the inputs, which
the others do not have, are taken out, and ours is a circuit without valid signals, as theirs are. What is in shift registers,
which Yosys makes of three registers in a row, is counted as if it was not. ``alkaid3`` has alkaid's sums of three, as its Verilog
says them; ``cost`` is the rivals' own estimate, before those. Rounding half to even, which no rival has, is replaced by rounding
half up on all sides.

Nanoseconds are those of the slowest stage by the rules of ``stage_times.py`` (AMD's families only). With ``--as-fast`` our
circuit is a small one none of whose stages takes longer than either rival's slowest. ``least FF`` is what our circuit
would have if all its registers but those of the outputs were where it is narrowest, whatever the clock.

``--curve PICTURE`` follows what longer stages save: our circuits of as many stages as the rivals', from short stages to long ones
in which registers find narrow places, against the nanoseconds of the rival with fewest flip-flops.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import stage_times
from circuits import NETWORKS, converted, slowest
from rich.console import Console
from rich.table import Table
from stage_times import shifted, slowest_stage
from tests.devices.listed import family_named
from tests.flows.runs import execute

from bitsmith.devices.family import Family
from bitsmith.emulate.emulator import Emulator
from bitsmith.estimate.unrolled import size_of
from bitsmith.flows.tools import require
from bitsmith.flows.yosys import Resources, Synthesis
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.types import Rounding
from bitsmith.netlist.netlist import InputPort, Literal, Netlist, live_words, operands
from bitsmith.netlist.pipeline import PipelineStages, pipeline
from bitsmith.netlist.pipelined import pipelined
from bitsmith.netlist.place_registers import Flow
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title, write

SAMPLES = 200
BUDGETS = tuple(1.15 * 0.96**k for k in range(16))
"""Of stages that are to be as fast as a rival's, by its nanoseconds: the delay model is mostly slower than the rules."""
COUNTS = Path(__file__).with_name("counts")
"""What Yosys made of circuits, by all that it read: a benchmark that was stopped goes on from there."""
LONGER = (1.0, 1.2, 1.5, 2.0)
"""Of stages that are as long as there are as many as the rivals have, for the curve; and the shortest of as many."""
ALLOWED = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5)
"""Nanoseconds of our slowest stage, of the rival's, at which the curve is tabulated."""
_OVERFLOWS = {"WRAP": "WRAP", "SAT": "SAT", "SAT_SYM": "SAT_SYM"}
_ROUNDINGS = {"TRN": "TRN", "RND": "RND"}

Step = dict[str, object]


def real(raw: np.ndarray, frac: np.ndarray) -> np.ndarray:
    """The numbers ``raw * 2**-frac``."""
    return raw.astype(np.float64) * 2.0 ** -frac.astype(np.float64)


def step_of(node: Node, program: Program) -> Step | None:
    """A node for the rivals; None if they have no symbol for it."""
    op = node.op
    name, numbers, modes = type(op).__name__.lower(), [], {}
    match op:
        case ops.Input():
            frac, lo, hi = node.type.full()
            numbers = [real(lo, frac), real(hi, frac), real(np.ones_like(frac), frac)]
        case ops.Const():
            numbers = [real(op.raw, np.broadcast_to(op.frac, op.raw.shape))]
        case ops.Linear():
            numbers = [real(op.weights, np.broadcast_to(op.frac, op.weights.shape))]
        case ops.Add() | ops.Max():
            pass
        case ops.Cast():
            frac, lo, hi = (
                np.broadcast_to(x, node.type.shape).astype(np.int64).reshape(-1) for x in (op.frac, op.lo, op.hi)
            )
            signed = lo < 0
            bits = np.array([int(top).bit_length() for top in hi])
            if op.rounding.name not in _ROUNDINGS or op.overflow.name not in _OVERFLOWS:
                return None
            if (hi != (1 << bits) - 1).any() or (lo != np.where(signed, -(1 << bits), 0)).any():
                return None
            numbers = [x.reshape(node.type.shape) for x in (signed.astype(np.int64), bits - frac, frac)]
            modes = {"overflow": _OVERFLOWS[op.overflow.name], "rounding": _ROUNDINGS[op.rounding.name]}
        case _:
            return None
    return {"op": name, "args": node.args, "numbers": [x.tolist() for x in numbers], **modes}


def half_up(node: Node) -> Node:
    """``node``, which rounds half up where it rounded half to even."""
    if isinstance(node.op, ops.Cast) and node.op.rounding is Rounding.RND_CONV:
        return replace(node, op=replace(node.op, rounding=Rounding.RND))
    return node


def steps_of(program: Program) -> tuple[Program, list[Step]]:
    """The part of ``program`` that rivals have symbols for, and that part for them."""
    steps: list[Step] = []
    program = replace(program, nodes=tuple(half_up(node) for node in program.nodes))
    for node in program.nodes:
        step = step_of(node, program)
        if step is None:
            break
        steps.append(step)
    last = max(index for index, step in enumerate(steps) if step["op"] != "const")
    return Program(program.nodes[: last + 1], (Output("y", last),)), steps[: last + 1]


@dataclass(frozen=True)
class Circuit:
    """A solver's circuit after Yosys.

    ``cost`` is its own estimate of look-up tables, ``equal`` the share of samples whose outputs are our emulator's.
    """

    name: str
    stages: int
    cost: float
    found: Resources
    stage_ns: float
    least_ff: int = 0
    equal: float = 1.0


def synthesized(folder: Path, sources: tuple[str, ...], family: Family) -> tuple[Resources, float]:
    """What Yosys makes of a project, and how long its slowest stage takes; not made again where COUNTS has it."""
    after = (*family.synthesis.after, "write_json mapped.json")
    mapping = replace(family.synthesis, command=f"{family.synthesis.command} -nobram", after=after)
    flow = Synthesis("all", "top", sources, replace(family, synthesis=mapping))
    read = [(folder / source).read_text() for source in sources]
    said = [*flow.files().values(), *(tool.label for tool in require(flow.find()))]
    digest = hashlib.sha256(repr([read, said, mapping, Path(stage_times.__file__).read_text()]).encode()).hexdigest()
    kept = COUNTS / f"{digest}.json"
    if kept.exists():
        found, stage_ns = json.loads(kept.read_text())
        return Resources(**found), stage_ns
    resources, stage_ns = execute(flow, folder), 0.0
    if "CARRY4" in family.synthesis.carry:
        mapped = folder / "mapped.json"
        resources, stage_ns = replace(resources, ff=resources.ff + shifted(mapped)), slowest_stage(mapped)
    COUNTS.mkdir(exist_ok=True)
    part = kept.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps([asdict(resources), stage_ns]))
    part.rename(kept)
    return resources, stage_ns


class Rivals:
    """The process that makes the rivals' circuits."""

    def __init__(self, python: str) -> None:
        command = [python, str(Path(__file__).with_name("rival_circuits.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def circuits(
        self, program: Program, steps: list[Step], stages: int, family: Family, names: frozenset[str]
    ) -> list[Circuit]:
        """Their circuits of a network in so many stages."""
        _, lo, hi = (kind := program.types(program.inputs)[0]).full()
        raw = np.random.default_rng(0).integers(lo, hi, size=(SAMPLES, *kind.shape), endpoint=True)
        samples = real(raw, np.broadcast_to(kind.full()[0], raw.shape))
        found = list(self.made({"steps": steps}, samples, Emulator(program).run([samples])[0], stages, family, names))
        if unlike := [circuit.name for circuit in found if circuit.equal < 1.0]:
            raise SystemExit(f"{', '.join(unlike)}: other outputs than ours")
        return found

    def made(
        self, case: Step, samples: np.ndarray, expected: np.ndarray, stages: int, family: Family, names: frozenset[str]
    ) -> Iterator[Circuit]:
        """Their circuits of the steps or the model of ``case`` that compute what is ``expected``.

        None more where their process ends.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            case = {**case, "stages": stages, "folder": folder, "samples": samples.tolist()}
            print(json.dumps(case), file=self._process.stdin, flush=True)
            while (line := self._process.stdout.readline()) and (answer := json.loads(line)):
                if answer["name"] not in names:
                    continue
                alike = np.array(answer["outputs"]).reshape(expected.shape) == expected
                equal = float(alike.reshape(len(expected), -1).all(axis=1).mean())
                project = Path(folder) / answer["name"]
                files = sorted(project.glob("src/**/*.v"))
                # No network uses either of these, and Yosys rejects the first without its file.
                sources = [file for file in files if file.name not in ("lookup_table.v", "top_wrapper.v")]
                names_of_files = tuple(str(file.relative_to(project)) for file in sources)
                made = synthesized(project, names_of_files, family)
                yield Circuit(answer["name"], answer["stages"], answer["cost"], *made, equal=equal)


def ours(program: Program, family: Family, budget_ns: float, stages: int = 0) -> Circuit:
    """Our circuit with stages of ``budget_ns``, ``stages`` at least."""
    netlist, placed = pipelined(program, family.delays, budget_ns)
    if placed.stages < stages:
        placed = pipeline(netlist, family.delays, budget_ns, stages)
    return made(netlist, placed, family)


def made(netlist: Netlist, placed: PipelineStages, family: Family) -> Circuit:
    """Our circuit of a netlist, after Yosys."""
    design = write(netlist, placed, "top", Title("bitsmith", "benchmark"), valid=False)
    with tempfile.TemporaryDirectory() as folder:
        for file, text in design.sources.items():
            (Path(folder) / file).write_text(text)
        found, stage_ns = synthesized(Path(folder), tuple(design.sources), family)
    cost = float(size_of(netlist, placed, family).lut)
    outputs = sum({ref.word: netlist.words[ref.word].width for ref in netlist.results}.values())
    least = (design.latency - 1) * narrowest(netlist) + outputs
    return Circuit("bitsmith", design.latency, cost, found, stage_ns, least)


def narrowest(netlist: Netlist) -> int:
    """The fewest bits of words that hold all that the outputs depend on."""
    count = len(netlist.words)
    flow, endless = Flow(2 * count + 2), sum(word.width for word in netlist.words) + 1
    for index in live_words(netlist):
        word = netlist.words[index]
        flow.add(index, count + index, endless if isinstance(word.cell, Literal) else word.width)
        for operand in operands(word.cell):
            flow.add(count + operand, index, endless)
        if isinstance(word.cell, InputPort):
            flow.add(2 * count, index, endless)
    for result in {ref.word for ref in netlist.results}:
        flow.add(count + result, 2 * count + 1, endless)
    return flow.run(2 * count, 2 * count + 1)


def as_fast(program: Program, family: Family, stage_ns: float) -> Circuit | None:
    """Our circuit whose slowest stage takes ``stage_ns`` at most; None without one.

    Of such circuits it is the one that is estimated to have the least product of look-up tables and flip-flops, with short stages
    only where no longer ones will do.
    """
    for shares in (BUDGETS[: len(BUDGETS) // 2], BUDGETS[len(BUDGETS) // 2 :]):
        sizes = {ns: size_of(*pipelined(program, family.delays, ns), family) for ns in (stage_ns * x for x in shares)}
        unlike = {(size.lut, size.ff): ns for ns, size in sorted(sizes.items(), reverse=True)}
        for lut, ff in sorted(unlike, key=lambda cells: cells[0] * cells[1]):
            mine = ours(program, family, unlike[lut, ff])
            if mine.stage_ns <= stage_ns:
                return mine
    return None


def lengthened(program: Program, family: Family, stages: int) -> list[Circuit]:
    """Our circuits of so many stages, from the shortest to those that have room for registers at the narrowest places."""
    shortest, longest = (slowest(program, family, number) for number in (stages + 1, stages))
    budgets = (1.001 * shortest, *(longest * longer for longer in LONGER))
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda ns: ours(program, family, ns, stages), budgets))


@dataclass(frozen=True)
class Curve:
    """Of our circuits of a network: nanoseconds, look-up tables and flip-flops, of a rival's."""

    name: str
    points: tuple[tuple[float, float, float], ...]

    @classmethod
    def of(cls, name: str, mine: Sequence[Circuit], rival: Circuit) -> Curve:
        """The circuits ``mine`` beside one of a rival."""
        found = (
            (one.stage_ns / rival.stage_ns, one.found.lut / rival.found.lut, one.found.ff / rival.found.ff)
            for one in mine
        )
        return cls(name, tuple(sorted(found)))

    def within(self, longer: float) -> tuple[float, float] | None:
        """Look-up tables and flip-flops of the circuit of fewest flip-flops whose stages are at most so much longer."""
        found = [(ff, lut) for ns, lut, ff in self.points if ns <= longer + 0.005]
        return min(found)[::-1] if found else None


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Flip-flops against the slowest stage, a line for each network and one for their geometric mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    end = ALLOWED[-1]
    for curve in curves:
        points = [point for point in curve.points if point[0] <= end]
        ns = [*(point[0] for point in points), end]
        least = [min(ff for _, _, ff in points[: k + 1]) for k in range(len(points))]
        axis.step(ns, [*least, least[-1]], where="post", lw=1, label=curve.name)
    whole = [ns for ns in np.arange(0.8, end, 0.01) if all(curve.within(ns) for curve in curves)]
    axis.plot(whole, [mean(curves, ns)[1] for ns in whole], "k", lw=2, label="geometric mean")
    axis.axhline(0.5, color="gray", ls=":")
    axis.set(xlabel="slowest stage, ours/theirs", ylabel="flip-flops, ours/theirs", ylim=(0, None))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.savefig(path)


def mean(curves: Sequence[Curve], longer: float) -> tuple[float, float]:
    """Geometric means of look-up tables and flip-flops of networks with stages that are at most so much longer."""
    found = [one for curve in curves if (one := curve.within(longer))]
    lut, ff = np.exp(np.log(np.array(found)).mean(axis=0)) if found else (np.nan, np.nan)
    return float(lut), float(ff)


def table_of(curves: Sequence[Curve]) -> Table:
    """Flip-flops of each network, and the means of flip-flops and of look-up tables, by the slowest stage."""
    table = Table("slowest stage", *(curve.name for curve in curves), "FF", "LUT", title="FF, ours/theirs")
    for longer in ALLOWED:
        found = [curve.within(longer) for curve in curves]
        lut, ff = mean(curves, longer)
        table.add_row(f"{longer:g}", *(f"{one[1]:.2f}" if one else "" for one in found), f"{ff:.2f}", f"{lut:.2f}")
    return table


def row_of(name: str, circuits: Mapping[str, Circuit]) -> tuple[tuple[str, ...], float, float]:
    """A row of the table, and our look-up tables and flip-flops relative to the better rival's."""
    mine = circuits["bitsmith"]
    rivals = [circuit for key, circuit in circuits.items() if key != "bitsmith"]
    lut = mine.found.lut / min(rival.found.lut for rival in rivals)
    ff = mine.found.ff / max(min(rival.found.ff for rival in rivals), 1)
    shown = (
        f"{x.found.lut:,} / {x.found.ff:,} / {x.cost:,.0f} / {x.stages} / {x.stage_ns:.1f}" for x in circuits.values()
    )
    return (name, *shown, f"{lut:.2f}", f"{ff:.2f}", f"{mine.least_ff:,}"), lut, ff


def main() -> None:
    """Print a row per network, and geometric means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="interpreter of the environment that has da4ml and alkaid")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--family", default="xcup")
    parser.add_argument("--stages", type=int)
    parser.add_argument("--budget", type=float, default=4.0, help="nanoseconds of logic per stage")
    parser.add_argument("--rivals", default="da4ml,alkaid,alkaid3")
    parser.add_argument("--as-fast", action="store_true", help="no stage longer than the rivals'")
    parser.add_argument("--curve", type=Path, metavar="PICTURE", help="follow what longer stages save")
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    family = family_named(given.family)
    names = given.names or ([] if given.models else list(NETWORKS))
    programs = {name: NETWORKS[name]() for name in names} | {p.stem: converted(p) for p in given.models}
    rivals, kept = Rivals(given.python), frozenset(given.rivals.split(","))
    table = Table(
        "network", "bitsmith", *given.rivals.split(","), "LUT", "FF", "least FF", title="LUT / FF / cost / stages / ns"
    )
    ratios: list[tuple[float, float]] = []
    curves: list[Curve] = []
    for name, whole in programs.items():
        program, steps = steps_of(drop_dead(whole, keep_probes=False))
        budget_ns = given.budget if given.stages is None else slowest(program, family, given.stages)
        mine = ours(program, family, budget_ns)
        theirs = rivals.circuits(program, steps, mine.stages, family, kept)
        if given.curve:
            rival = min(theirs, key=lambda one: one.found.ff)
            curves.append(Curve.of(name, lengthened(program, family, mine.stages), rival))
            print(curves[-1], file=sys.stderr, flush=True)
        if given.as_fast:
            least = min(rival.stage_ns for rival in theirs)
            found = as_fast(program, family, least)
            if found is None:
                raise SystemExit(f"no circuit of ours has stages of {least:.2f} ns")
            mine = found
        row, lut, ff = row_of(name, {circuit.name: circuit for circuit in (mine, *theirs)})
        print(*row, sep="  ", file=sys.stderr, flush=True)
        table.add_row(*row)
        ratios.append((lut, ff))
    console = Console(width=170)
    console.print(table)
    if given.curve:
        console.print(table_of(curves))
        draw(curves, given.curve)
    means = np.exp(np.log(np.array(ratios)).mean(axis=0))
    console.print(f"geometric means of ours/theirs: LUT {means[0]:.3f}, FF {means[1]:.3f}")


if __name__ == "__main__":
    main()
