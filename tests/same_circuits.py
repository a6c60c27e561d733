"""Digests of what several hundred networks become, to show that a change leaves circuits as they were, or makes them smaller.

    python -m tests.same_circuits record before.jsonl     # on the commit before, and again on the one after
    python -m tests.same_circuits compare before.jsonl after.jsonl

A record has a line for each network: digests of the program's text, and, of programs that are small enough, of those of the
netlist and of the schedule of tokens, with figures of their sizes. A record that is there is continued. ``--only`` takes those
networks alone whose names begin so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.console import Console

from bitsmith import convert
from bitsmith.compiler import compile_network
from bitsmith.dataflow.schedule import schedule, schedule_to_text
from bitsmith.dataflow.text import to_text as network_text
from bitsmith.errors import BitsmithError
from bitsmith.frontends.read import AnyModel
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text as program_text
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import AddSub, TernaryAdder
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.text import to_text as netlist_text
from bitsmith.passes.program import drop_dead
from tests import conftest as conftest  # chooses Keras's backend

Record: TypeAlias = dict[str, str | int]
Cases: TypeAlias = Iterator[tuple[str, Callable[[], Program]]]

ROOT = Path(__file__).parents[1]
SMALLER = ("bits", "words", "adder_bits", "latency", "interval", "slots")
"""Figures that a change may make smaller."""

_MOST_ELEMENTS, _MOST_PRODUCTS = 8000, 3000
"""Of programs whose netlist and schedule are recorded."""


def cases() -> Cases:
    """All networks, by name, in an order in which the first ones have something of each kind."""
    sources = [_layers(), _networks(), _programs(), _files(), _keras(), _frameworks()]
    while sources:
        for source in list(sources):
            case = next(source, None)
            if case is None:
                sources.remove(source)
            else:
                yield case


def _layers() -> Cases:
    from tests.layers.cases import CASES
    from tests.layers.lowered import network_of

    for number, case in enumerate(CASES):
        network = network_of(case.layer, case.shapes, case.settings)
        yield f"layer/{number} {case.name}", lambda network=network: compile_network(network).program


def _networks() -> Cases:
    from tests.system.test_random_networks import random_network

    for seed in range(150):
        yield f"network/{seed}", lambda seed=seed: compile_network(random_network(seed)).program


def _programs() -> Cases:
    from tests.passes.test_move_scales import chain
    from tests.properties import convolutional, programs, recurrent

    for seed in range(30):
        yield f"program/{seed}", partial(programs.random_program, seed, hardware=True)
        yield f"convolutional/{seed}", partial(convolutional.random_network, seed)
        yield f"recurrent/{seed}", partial(recurrent.random_network, seed)
        yield f"codes/{seed}", lambda seed=seed: compile_network(chain(seed)).program


def _files() -> Cases:
    from tests.quantized.test_backends import MODELS, named

    exported = sorted((ROOT / "tests/frontends/exported").glob("*.onnx"))
    shipped = [ROOT / "src/bitsmith/data/models" / name for name in ("bitsmith_3layer.json", "digits.keras")]
    for name, path in [(path.stem, path) for path in (*shipped, *exported)] + [(named(path), path) for path in MODELS]:
        yield f"file/{name}", partial(_converted, path)


def _keras() -> Cases:
    from tests.fidelity.random_layers import KINDS, made

    for seed in range(6):
        for kind in KINDS:
            yield f"keras/{kind} {seed}", lambda kind=kind, seed=seed: _converted(made(kind, seed))


def _frameworks() -> Cases:
    from tests.fidelity import random_keras, random_onnx, random_torch

    def of(generator: Callable[[int], object], seed: int) -> Program:
        case = generator(seed)
        return _converted(case.model, calibration=list(case.inputs), **case.options)

    for seed in range(60):
        for name, module in (("onnx", random_onnx), ("torch", random_torch), ("keras-graph", random_keras)):
            yield f"{name}/{seed}", partial(of, module.case, seed)


def _converted(model: AnyModel, **options: object) -> Program:
    with tempfile.TemporaryDirectory() as folder:
        return convert(model, folder, check=False, **options).program


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _recorded(made: Callable[[], Program]) -> Record:
    """The line of a network, without its name."""
    import keras

    keras.utils.clear_session()  # names of layers are numbers of those before
    try:
        program = made()
    except BitsmithError as error:
        return {"refused": type(error).__name__}
    live = drop_dead(program, keep_probes=False)
    bits = sum(int(np.broadcast_to(node.type.width, node.type.shape).sum()) for node in live.nodes)
    record: Record = {"program": _digest(program_text(program)), "bits": bits}
    if not _is_small(live):
        return record
    netlist = reduce_widths(elaborate(live))
    adders = [word for word in netlist.words if isinstance(word.cell, AddSub | TernaryAdder)]
    record |= {"netlist": _digest(netlist_text(netlist)), "words": len(netlist.words)}
    record |= {"adder_bits": sum(word.width for word in adders)}
    try:
        network = partition(live, Directives({}, parallel=False))
        timing = schedule(network, {})
    except BitsmithError as error:
        return {**record, "schedule": type(error).__name__}
    text = network_text(network) + schedule_to_text(timing)
    slots = sum(fifo.depth for fifo in timing.fifos)
    return {**record, "schedule": _digest(text), "latency": timing.latency, "interval": timing.interval, "slots": slots}


def _is_small(program: Program) -> bool:
    products = 0
    for node in program.nodes:
        if isinstance(node.op, ops.Linear | ops.MatMul):
            shape = program.nodes[node.args[0]].type.shape
            products += math.prod(shape) * node.type.shape[-1]
        if isinstance(node.op, ops.Scan):
            products += len(node.op.body.nodes) * 8
    elements = sum(math.prod(node.type.shape) for node in program.nodes)
    return products <= _MOST_PRODUCTS and elements <= _MOST_ELEMENTS


def record(path: Path, only: str, count: int) -> None:
    """Append what is not in the record yet."""
    lines = path.read_text().splitlines() if path.exists() else []
    known = {json.loads(line)["name"] for line in lines}
    with path.open("a") as file:
        for number, (name, made) in enumerate(cases()):
            if number < count and name not in known and name.startswith(only):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    file.write(json.dumps({"name": name, **_recorded(made)}) + "\n")
                file.flush()


def compare(before: Path, after: Path, console: Console) -> bool:
    """Print what differs of the networks that are in both records; False if something is not smaller."""
    olds, news = (
        {line.pop("name"): line for line in map(json.loads, path.read_text().splitlines())} for path in (before, after)
    )
    common, fine = sorted(olds.keys() & news.keys()), True
    for name in common:
        old, new = olds[name], news[name]
        if old != new:
            changed = [key for key in SMALLER if key in old and old[key] != new.get(key)]
            smaller = bool(changed) and all(new.get(key, math.inf) < old[key] for key in changed)
            fine = fine and smaller
            kinds = [key for key in ("refused", "program", "netlist", "schedule") if old.get(key) != new.get(key)]
            figures = ", ".join(f"{key} {old[key]} -> {new.get(key)}" for key in changed)
            console.print(f"{name}: {', '.join(kinds)}; {'smaller' if smaller else 'NOT SMALLER'}: {figures}")
    same = sum(olds[name] == news[name] for name in common)
    console.print(f"{len(common)} networks in both records, {same} the same")
    return fine


def main() -> None:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    taken = commands.add_parser("record")
    taken.add_argument("path", type=Path)
    taken.add_argument("--only", default="")
    taken.add_argument("--count", type=int, default=1 << 30)
    both = commands.add_parser("compare")
    both.add_argument("before", type=Path)
    both.add_argument("after", type=Path)
    given = parser.parse_args()
    if given.command == "record":
        record(given.path, given.only, given.count)
    elif not compare(given.before, given.after, Console(highlight=False)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
