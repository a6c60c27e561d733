"""Large networks whose layers take turns on rows of multipliers, with weights from memory: the plan for a few parts.

``networks_in_turn.py [--simulate] [NAME[:PART,PART...]...]``. Weights are random, the same each time, of the magnitudes of
trained ones (He); normalizations have the statistics that smooth images show, as after training. Each network is converted at 8
bits, once, in a process of its own. Printed are the fastest circuit of those tried that fits, of layers in turn or side by side,
its cycles and frames in a second, or what the part lacks, and the layer that takes most of it; the error of the outputs beside
the framework's (rms, of their spread); processor time of the plan, with the conversion, and memory.

With ``--simulate``, Verilator then runs the circuit with layers in turn, for minutes: frames of two images without stalls, the
same with random stalls of the memory and both sides, and around a reset. Printed are how many numbers are not the emulator's, and
the cycles of a frame, counted and planned.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import large_networks
import numpy as np
from tests.flows.runs import execute

import bitsmith
from bitsmith.building.design import circuit
from bitsmith.config.weight_memory import read_weight_memory
from bitsmith.emulate import Emulator
from bitsmith.estimate.bisection import first_step, first_with_room
from bitsmith.estimate.figures import Size
from bitsmith.estimate.fit import proposal
from bitsmith.estimate.needs import fits, missing
from bitsmith.mapping.builder import DataflowBuilder, builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.engines import regions_of
from bitsmith.model.estimates import Estimate
from bitsmith.model.model import Model
from bitsmith.model.points import size_of
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title


@dataclass(frozen=True, slots=True)
class Board:
    """A part, a clock that such circuits meet there, and the memory beside it."""

    part: str
    clock_ns: float
    memory: str


BOARDS = {
    "xc7z020": Board("xc7z020clg400-1", 10, "64 bits, 262.5 MHz, 200 ns, 75 %"),
    "xczu7ev": Board("xczu7ev-ffvc1156-2-e", 5, "512 bits, 300 MHz, 200 ns, 75 %"),
    "xczu9eg": Board("xczu9eg-ffvb1156-2-e", 5, "512 bits, 300 MHz, 200 ns, 75 %"),
    "xcu50": Board("xcu50-fsvh2104-2-e", 5, "1024 bits, 450 MHz, 200 ns, 75 %"),
    "xcu250": Board("xcu250-figd2104-2l-e", 5, "2048 bits, 300 MHz, 200 ns, 75 %"),
}
"""Memories as the user's side of their controllers has them, with the bits in a second of the board and no more.

A controller of DDR gives four or eight transfers of the chips as one word. Words under way are those of the controller, of which
64 are asked for at once: described as 64 bits at 2,400 MHz, DDR4 would be eight times as far away. The boards have:

- PYNQ-Z1: DDR3 of 16 bits, 1,050 million transfers in a second, 2.1 GB/s;
- ZCU104 and ZCU102: DDR4 of 64 bits, 2,400 million transfers, 19.2 GB/s;
- U50: four of the 32 channels of HBM2, of 256 bits and 450 MHz, 57.6 GB/s (UG1393 2021.2, "HBM Configuration and Use");
- U250: four channels of DDR4 of 64 bits, 76.8 GB/s (77 GB/s there).
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A network, and the least reuse factor that is asked for.

    ``rows``: layers that read images with more are beside the engine, in as many cycles.
    """

    build: Callable[[], keras.Model]
    reuse: int
    rows: int = 0


def mobilenet(size: int, wide: float, classes: int = 1000) -> keras.Model:
    """The first MobileNet, ``wide`` times as wide, for images of ``size`` x ``size``."""
    shape = size, size, 3
    return keras.applications.MobileNet(shape, wide, weights=None, classes=classes, classifier_activation=None)


NETWORKS = {
    "bert": Case(lambda: large_networks.bert(32, 128, 2, 2), 2048),
    "bert-on-one-engine": Case(lambda: large_networks.bert(32, 128, 2, 2), 5100),
    "vit": Case(lambda: large_networks.vit(32, 4, 64, 4, 4), 1024),
    "vit-tiny": Case(large_networks.vit_tiny, 3072),
    "vit-tiny-on-one-engine": Case(large_networks.vit_tiny, 62_500),
    "u-net": Case(lambda: large_networks.u_net(256, 16), 100),
    "resnet-18": Case(large_networks.resnet18, 50),
    "resnet-18-small": Case(large_networks.resnet18, 20_000, 28),
    "resnet-20-v2": Case(large_networks.resnet20_v2, 25),
    "resnet-50": Case(large_networks.resnet50, 130),
    "mobilenet-v1": Case(lambda: mobilenet(224, 1.0), 25),
    "mobilenet-v1-160": Case(lambda: mobilenet(160, 0.5), 10),
    "mobilenet-v1-128": Case(lambda: mobilenet(128, 0.25), 8),
    "mobilenet-v2": Case(large_networks.mobilenet_v2, 20),
    "visual-wake-words": Case(lambda: mobilenet(96, 0.25, 2), 25),
    "efficientnet-lite0": Case(large_networks.efficientnet_lite0, 40),
    "efficientnet-lite0-on-cards": Case(large_networks.efficientnet_lite0, 28),
    "yolo-v3-tiny": Case(lambda: large_networks.yolo_v3_tiny(416), 2012, 26),
}


SLOWER = tuple(1.06**step for step in range(100))
"""Times the least cycles that are tried, until a circuit fits."""


def settings(model: keras.Model, case: Case) -> dict[str, dict[str, object]]:
    """The settings of layers beside the engine."""
    read = {layer.name: layer.input[0] if isinstance(layer.input, list) else layer.input for layer in model.layers[1:]}
    larger = {name: one for name, one in read.items() if len(one.shape) == 4 and one.shape[1] > case.rows > 0}
    ends = {
        layer.name: layer.output for layer in model.layers if layer.weights
    }  # others have all of what they read to pass
    positions = {name: math.prod(ends.get(name, one).shape[1:3]) for name, one in larger.items()}
    frame = case.reuse * case.rows**2
    return {name: {"Strategy": "Resource", "ReuseFactor": frame // count} for name, count in positions.items()}


def samples(shape: tuple[int, ...]) -> np.ndarray:
    """Smooth images, or tokens of an embedding."""
    if len(shape) == 3:
        return large_networks.images(shape)
    return np.random.default_rng(0).normal(0, 1, (large_networks.IMAGES, *shape)).astype(np.float32)


def planned(name: str, boards: Sequence[str], simulate: bool) -> None:
    """Print the rows of a network, and what simulations of its circuits find."""
    warnings.simplefilter("ignore")
    keras.utils.set_random_seed(0)
    case = NETWORKS[name]
    model = case.build()
    x = samples(model.input_shape[1:])
    large_networks.settled(model, x)
    start, first = time.process_time(), BOARDS[boards[0]]
    with tempfile.TemporaryDirectory() as folder:
        made = bitsmith.convert(
            model,
            folder,
            calibration=x,
            bits=8,
            io_type="io_stream",
            strategy="shared",
            reuse_factor=case.reuse,
            config={"LayerName": settings(model, case)},
            part=first.part,
            clock_period=first.clock_ns,
            weight_memory=first.memory,
        )
    converting = time.process_time() - start
    errors = ", ".join(f"{error:.1%}" for error in errors_of(made.predict(x), model(x)))
    print(f"{name}: {converting:.0f} s to convert, rms error of outputs {errors}", flush=True)
    for each in boards:
        begun, memory = time.process_time(), read_weight_memory(BOARDS[each].memory, "the table of boards")
        target = replace(
            made.target, part=BOARDS[each].part, clock_period_ns=BOARDS[each].clock_ns, weight_memory=memory
        )
        model = Model(made.network, made.program, target)
        told, size = in_turn(model)
        print(f"{name} on {each}: {row(told, size, begun - converting)}", flush=True)
        if simulate:
            print(f"{name} on {each}: {simulated(model, told.directives, x[:2])}", flush=True)


def in_turn(model: Model) -> tuple[Estimate, Size]:
    """The first of the ways to take turns that fits, as `first_with_room` has it; if none does, the slowest."""
    target, part = model.target, model.target.known_part
    ways, fitting = ways_of(model), partial(fits, part=part)

    @cache
    def sized(way: int) -> tuple[Estimate, Size]:
        directives = ways(way)[0]
        return Estimate(model.program, directives, target), size_of(model.program, directives, target, fitting)

    def has_room(way: int) -> bool:
        return fitting(sized(way)[1])

    def possible(way: int) -> bool:
        return fitting(size_of(model.program, ways(way)[0], target, lambda _: False))

    slowest = len(SLOWER) - 1
    if not possible(slowest):
        return sized(slowest)
    way = fastest = first_step(0, slowest, lambda way: ways(way)[1] <= 2 * part.die.dsps)
    if not has_room(fastest):
        found = first_with_room(min(fastest + 1, slowest), slowest, possible, has_room)
        way = slowest if found is None else found
    return sized(way)


def row(told: Estimate, size: Size, begun: float) -> str:
    """What layers in turn take, or layers side by side if these are faster, and the seconds of the plan, which had ``begun``."""
    part = told.target.known_part
    fitting, beside = partial(fits, part=part), side_by_side(told)
    turns = f", {', '.join(f'{engine.multipliers} multipliers {engine.busy:.1%} busy' for engine in told.fetched)}"
    if beside is not None and (beside.interval < size.interval or not fitting(size)):
        size, turns = beside, ""
    missed = f"does not fit: {missing(size, part) or 'no room for routing'}"
    answer = f"fits {'in turn' if turns else 'side by side'}" if fitting(size) else missed
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    seconds = f"{time.process_time() - begun:.0f} s, {megabytes:,} MB"
    return f"{answer}; {large_networks.figures(size, size.interval, told.target.clock_period_ns)}{turns}; {seconds}"


def simulated(model: Model, directives: Directives, x: np.ndarray) -> str:
    """What a simulation of the circuit with frames of ``x`` finds."""
    target, program = model.target, drop_dead(model.program, keep_probes=False)
    family = target.known_part.family
    made = circuit(program, directives, family.delays, target.budget_ns(family), "net", Title("", ""))
    raws = [model.emulator.quantize(0, x)[0]]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in made.sources.items():
            (Path(folder) / name).write_text(text)
        found = execute(made.simulation([Path(name) for name in made.sources], raws), Path(folder))
    wanted = Emulator(program).run_raw(raws)
    wrong = sum(np.count_nonzero(one != other) for one, other in zip(found.outputs, wanted, strict=True))
    cycles = ((found.latency, found.interval), made.cycles)
    counted, expected = (f"{latency:,} and {interval:,}" for latency, interval in cycles)
    return f"{wrong} numbers differ; latency and cycles of a frame: {counted} counted, {expected} planned"


def ways_of(model: Model) -> Callable[[int], tuple[Directives, int]]:
    """Ways to take turns, by how much slower they are, each with its multipliers.

    The first have the cycles that reuse factors leave, or the least that all engines can meet.
    """
    directives = model.directives
    builder = builder_of(drop_dead(model.program, keep_probes=False), directives)
    regions = regions_of(builder)
    given, least = (max(getattr(region, name) for region in regions) for name in ("cycles", "needed"))

    @cache
    def way(number: int) -> tuple[Directives, int]:
        cycles = max(given, least) * SLOWER[number]
        reuse = {name: math.ceil(own * cycles / given) for name, own in directives.reuse.items()}
        for region in regions:  # as long as the others, whatever positions its layers have
            names = {unit.name for unit in region.units if unit.is_product}
            reuse |= {name: math.ceil(directives.reuse[name] * cycles / region.cycles) for name in names}
        asked = replace(directives, reuse=reuse)
        rows = [region.row for region in regions_of(DataflowBuilder(builder.program, asked))]
        return asked, sum(row.multipliers for row in rows if row is not None)

    return way


def side_by_side(told: Estimate) -> Size | None:
    """The fastest circuit that fits in which layers have multipliers and weights of their own; None without one."""
    part, program = told.target.known_part, drop_dead(told.program, keep_probes=False)
    directives = replace(told.directives, products={}, reuse={}, engine=frozenset())
    found = proposal(program, part, directives, told.target.budget_ns(part.family), None)
    return None if found is None else found.size


def errors_of(found: object, wanted: object) -> list[float]:
    """The root mean square of each output's errors, of its spread."""
    pairs = zip(*(each if isinstance(each, list | tuple) else [each] for each in (found, wanted)), strict=True)
    arrays = [(np.asarray(one), np.asarray(other)) for one, other in pairs]
    return [float(np.sqrt(np.mean((one.reshape(other.shape) - other) ** 2)) / other.std()) for one, other in arrays]


def main() -> None:
    """Print the rows."""
    options = [option for option in sys.argv[1:] if option == "--simulate"]
    names = [name for name in sys.argv[1:] if name not in options] or [*NETWORKS]
    if len(names) == 1:
        name, _, boards = names[0].partition(":")
        planned(name, boards.split(",") if boards else [*BOARDS], bool(options))
        return
    for name in names:
        subprocess.run([sys.executable, __file__, *options, name], check=False)


if __name__ == "__main__":
    main()
