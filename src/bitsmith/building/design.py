"""The two forms of a circuit: one unrolled pipeline, or a network of processes that pass tokens.

Which it is follows from the user's choices alone: all reuse factors 1 and whole tensors make a pipeline, anything else a network.
Both are a value with sources, the cycles that were planned, and a way to run them on raw inputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from bitsmith.base.dump import dumped
from bitsmith.dataflow.replay import StoredWeights
from bitsmith.dataflow.schedule import schedule_to_text
from bitsmith.dataflow.text import to_text as network_to_text
from bitsmith.devices.delay import DelayModel
from bitsmith.emulate import Emulator
from bitsmith.estimate.turns import EngineCycles, engine_cycles
from bitsmith.flows.cosim import COSIM, Cosimulation, LoopShape, Simulation, StreamShape
from bitsmith.flows.run import Converted, Flow
from bitsmith.ir.ops import Parameter
from bitsmith.ir.program import Output, Program
from bitsmith.ir.types import Ints, TensorType, objects
from bitsmith.mapping.builder import builder_of
from bitsmith.mapping.directives import Directives, require_pipeline
from bitsmith.mapping.engine.engines import require_engines, watched_in_engines
from bitsmith.mapping.fifos import with_room
from bitsmith.netlist.pipelined import pipelined, stage_budget
from bitsmith.netlist.text import stages_to_text, to_text
from bitsmith.passes.program.load import ParameterKey, load, parameters, random_values, values_of
from bitsmith.report.sections import FIFO
from bitsmith.rtl import avalon_wrapper, bus_wrappers, clock_wrapper, integration, library, packaging, streams
from bitsmith.rtl.design import TAP, LayerPart, RtlDesign
from bitsmith.rtl.interface import Interface
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.packing import Raw, pack, unpack
from bitsmith.rtl.stream_ports import LoopPort, StreamPort, WeightPort
from bitsmith.rtl.stream_top import StreamDesign
from bitsmith.rtl.tables import ram_in_logic
from bitsmith.rtl.writer import Title, write

Words: TypeAlias = npt.NDArray[np.uint32]

_FLOWING = 4
"""Samples of a pipeline's simulation beyond those that fill it."""


@dataclass(frozen=True, slots=True)
class Cosimulated:
    """Raw outputs, one array (samples, *shape) per output of the program, the cycles that were measured, and by what.

    ``fifos`` are all FIFOs with the most slots that were in use. ``reloaded`` is the program with other
    weights, and its raw outputs after these were loaded, where some can be.
    """

    outputs: list[Raw]
    latency: int
    interval: int
    tool: str
    fifos: tuple[FIFO, ...] = ()
    reloaded: tuple[Program, list[Raw]] | None = None


@dataclass(frozen=True)
class Circuit(ABC):
    """A circuit as a value.

    Attributes:
        program: what it computes.
        top: the top module.
        parts: of the circuit by layer, under the name of each in the top.
        cycles: latency and initiation interval as planned.
        over_budget: operations that take longer than the clock period.
        stage_ns: nanoseconds of logic that a stage may have; more than the clock leaves where there must be few.
        title: of all files.
        in_logic: attributes of memories that must not be block memory; empty where they may.
        in_engines: results that monitors watch inside engines, as outputs.
        engines: the cycles that layers take on each.
    """

    program: Program
    top: str
    parts: Mapping[str, LayerPart]
    cycles: tuple[int, int]
    over_budget: int
    stage_ns: float
    title: Title
    in_logic: str
    in_engines: Program
    engines: tuple[EngineCycles, ...]

    @property
    @abstractmethod
    def sources(self) -> Mapping[str, str]:
        """All files that the top needs, in the project's folder ``rtl``: name -> text."""

    @property
    @abstractmethod
    def interface(self) -> Interface:
        """The streams of ``<top>_axis``, which is among the extras."""

    @property
    @abstractmethod
    def axi_stream(self) -> str:
        """The text of the module ``<top>_axis``."""

    @property
    def islands(self) -> tuple[tuple[str, ...], ...]:
        """Groups of its parts that only register slices join, by what the names of all within begin with."""
        return ()

    @property
    def extras(self) -> Mapping[str, str]:
        """Wrappers, from ``<top>_axis`` up, and the scripts that tell vendors' tools of them, by their paths in the project."""
        interface, top, axis = self.interface, self.top, self.axi_stream
        axi_lite, avalon = Wrapper.AXIL.of(top), Wrapper.AVALON.of(top)
        packaged = (*self.wrapper_sources(library.CONTROL_LIBRARY), f"{axi_lite}.v")
        described = (*self.wrapper_sources(library.AVALON_LIBRARY), f"{avalon}.sv")
        texts = {
            f"{Wrapper.AXIS.of(top)}.sv": axis,
            f"{axi_lite}.v": bus_wrappers.axi_lite(interface),
            f"{axi_lite}_ip.tcl": packaging.vivado_script(interface, packaged),
            f"{avalon}.sv": avalon_wrapper.avalon(interface),
            f"{Wrapper.CDC.of(top)}.sv": clock_wrapper.two_clocks(interface),
            f"{Wrapper.CDC.of(top)}.xdc": clock_wrapper.vivado_constraints(interface),
            f"{Wrapper.CDC.of(top)}.sdc": clock_wrapper.quartus_constraints(interface),
            f"{Wrapper.AXIS.of(top)}.vho": integration.vhdl_template(interface, axis),
            f"{avalon}_hw.tcl": packaging.platform_designer_script(interface, described),
            **library.library(in_logic=self.in_logic),
            **(library.library(library.FAULTS_LIBRARY) if interface.checked else {}),
        }
        return {
            **{f"rtl/{name}": text for name, text in texts.items()},
            f"{top}.core": integration.fusesoc_core(interface, self.wrapper_sources(()), packaged),
        }

    def wrapper_sources(self, modules: Sequence[str]) -> tuple[str, ...]:
        """Names of all files in the folder ``rtl`` below a wrapper that is made of ``modules``."""
        faults = library.FAULTS_LIBRARY if self.interface.checked else ()
        return tuple(dict.fromkeys((*self.sources, f"{Wrapper.AXIS.of(self.top)}.sv", *modules, *faults)))

    def with_words(self, program: Program, words: Sequence[Ints]) -> Circuit:
        """The same circuit as it executes another ``program``, with these words in the memories outside."""
        assert not words
        return replace(self, program=program)

    def simulation(
        self, sources: Sequence[Path], raws: Sequence[Raw], folder: str = COSIM, *, waves: bool = False
    ) -> Flow[Cosimulated]:
        """Return its simulation on ``raws``, one array per input, in a ``folder`` of the project beside ``sources``."""
        return Converted(replace(self._flow(sources, raws, folder), waves=waves), self._cosimulated)

    def responses(self, raws: Sequence[Raw], folder: str = COSIM) -> Mapping[str, bytes]:
        """The files that its simulation on ``raws`` must leave, by their paths in the project."""
        flow = self._flow((), raws, folder)
        raws = [raw[np.arange(flow.frames) % len(raw)] for raw in raws]  # as they are repeated, where states live on
        reloaded = self._words(self._reloaded(), raws) if flow.loads else []
        return flow.responses(self._words(self.program, raws), reloaded)

    def tokens(self, raws: Sequence[Raw]) -> tuple[Sequence[Words], Sequence[Words]]:
        """The tokens of ``raws`` at each stream that comes in, and of their results at each that goes out."""
        return self._flow((), raws, COSIM).stimuli, self._words(self.program, raws)

    def _reloaded(self) -> Program:
        """The program with the weights that the simulation loads."""
        return load(self.program, other_values(self.program))

    @abstractmethod
    def _flow(self, sources: Sequence[Path], raws: Sequence[Raw], folder: str) -> Cosimulation:
        """The simulation as a flow of words."""

    @abstractmethod
    def _words(self, program: Program, raws: Sequence[Raw]) -> list[Words]:
        """The words of each output's tokens that ``program`` gives for ``raws``."""

    @abstractmethod
    def _cosimulated(self, simulated: Simulation) -> Cosimulated:
        """The raw values of what was simulated."""


def circuit(
    program: Program, directives: Directives, delays: DelayModel, budget_ns: float, top: str, title: Title
) -> Circuit:
    """The circuit of ``program``."""
    directives, in_logic = replace(directives, block=delays.block), ram_in_logic(delays.memory, directives.part)
    require_pipeline(program, directives)
    require_engines(program, directives)
    shown, in_engines = _with_taps(program, directives)
    if directives.unrolled(program):
        budget_ns = stage_budget([shown], delays, budget_ns)
        netlist, stages = pipelined(shown, delays, budget_ns, directives.block_layers, latency=directives.latency)
        dumped("netlist", netlist, to_text)
        dumped("stages", stages, stages_to_text)
        elements = sum(program.nodes[output.node].type.size for output in program.outputs)
        core = write(netlist, stages, top, title, directives.protection, elements, valid=directives.valid)
        late = len(stages.over_budget)
        cycles = core.latency, 1
        return Pipeline(
            *(program, core.top, core.parts, cycles, late, stages.stage_ns, title, in_logic, in_engines, (), core),
            directives.valid,
        )
    network = dumped("token-network", with_room(shown, directives), network_to_text)
    design = streams.lay_out(
        network,
        delays,
        budget_ns,
        top,
        title,
        directives.part,
        directives.block_layers,
        read_back=directives.read_back,
        protection=directives.protection,
    )
    dumped("schedule", design.schedule, schedule_to_text)
    cycles = design.schedule.latency, design.schedule.interval
    late = design.over_budget
    engines = tuple(engine_cycles(network))
    return Streaming(
        *(program, design.interface.top, design.parts, cycles, late, budget_ns, title),
        *(in_logic, in_engines, engines, design),
    )


def _with_taps(program: Program, directives: Directives) -> tuple[Program, Program]:
    """The program whose probes are outputs if monitors watch these, and one whose outputs are those watched inside engines."""
    none = Program(program.nodes, ())
    if not directives.taps:
        return program, none
    layers = watched_in_engines(builder_of(program, directives))[1]
    shown = {*program.inputs, *(output.node for output in program.outputs)}
    found = {probe.node: f"{TAP}{probe.name}" for probe in program.probes if probe.name not in layers}
    taps = (Output(name, node) for node, name in found.items() if node not in shown)
    tapped = Program(program.nodes, (*program.outputs, *taps))
    return tapped, watched_in_engines(builder_of(tapped, directives))[0]


@dataclass(frozen=True)
class Pipeline(Circuit):
    """Everything unrolled: a sample per cycle. Without valid signals a wrapper has these for all that needs them."""

    design: RtlDesign
    valid: bool

    @property
    def _with_valid(self) -> str:
        """The module with valid signals."""
        return self.top if self.valid else Wrapper.VALID.of(self.top)

    @property
    def extras(self) -> Mapping[str, str]:
        own = {} if self.valid else {f"rtl/{self._with_valid}.sv": bus_wrappers.with_valid(self.interface)}
        return {**super().extras, **own}

    @property
    def sources(self) -> Mapping[str, str]:
        return self.design.sources

    @property
    def axi_stream(self) -> str:
        return bus_wrappers.pipeline_streams(self.interface, self._with_valid)

    @property
    def interface(self) -> Interface:
        inputs, outputs = (StreamPort("", fields, 1) for fields in (self.design.inputs, self.design.outputs))
        taps = tuple(StreamPort(fields[0].tensor.removeprefix(TAP), fields, 1) for fields in self.design.taps)
        return Interface(
            self.top, (inputs,), (outputs,), *self.cycles, self.title, checked=self.design.checked, taps=taps
        )

    def wrapper_sources(self, modules: Sequence[str]) -> tuple[str, ...]:
        return super().wrapper_sources((f"{self._with_valid}.sv", *library.AXI_STREAM_LIBRARY, *modules))

    def _flow(self, sources: Sequence[Path], raws: Sequence[Raw], folder: str) -> Cosimulation:
        design = self.design
        source, sink = StreamShape("in", design.in_width, 1), StreamShape("out", design.out_width, 1)
        words, full = pack(design.inputs, raws)[:, np.newaxis], design.latency + _FLOWING
        timing, own = (design.latency, full), [] if self.valid else [Path("rtl") / f"{self._with_valid}.sv"]
        top, files = self._with_valid, (*sources, *own)
        return Cosimulation(top, files, (source,), (sink,), (words,), False, *timing, folder=folder)

    def _words(self, program: Program, raws: Sequence[Raw]) -> list[Words]:
        return [pack(self.design.outputs, Emulator(program).run_raw(raws))[:, np.newaxis]]

    def _cosimulated(self, simulated: Simulation) -> Cosimulated:
        (words,) = simulated.outputs
        outputs = unpack(self.design.outputs, words[:, 0])
        return Cosimulated(outputs, simulated.latency_cycles, simulated.ii_cycles, simulated.tool)


@dataclass(frozen=True)
class Streaming(Circuit):
    """Processes that pass tokens."""

    design: StreamDesign

    def with_words(self, program: Program, words: Sequence[Ints]) -> Circuit:
        images = tuple(
            replace(image, stored=StoredWeights.of(raw, image.stored.gap))
            for image, raw in zip(self.interface.images, words, strict=True)
        )
        interface = replace(self.interface, images=images)
        return replace(self, program=program, design=replace(self.design, interface=interface))

    @property
    def sources(self) -> Mapping[str, str]:
        return {**self.design.sources, **library.library(library.STREAM_LIBRARY, self.in_logic)}

    @property
    def axi_stream(self) -> str:
        return bus_wrappers.axi_streams(self.interface)

    @property
    def islands(self) -> tuple[tuple[str, ...], ...]:
        return self.design.islands

    @property
    def interface(self) -> Interface:
        return self.design.interface

    def _flow(self, sources: Sequence[Path], raws: Sequence[Raw], folder: str) -> Cosimulation:
        interface, types = self.interface, self.program.types(self.program.inputs)
        stimuli = [_tokens(port, raw, kind) for port, raw, kind in zip(interface.own_inputs, raws, types, strict=True)]
        frames, weights, others = len(raws[0]), values_of(self.program), other_values(self.program)
        always = [
            *(given_words(given, weights) for given in interface.weights),
            *(one.words for one in interface.images),
        ]
        stimuli += [np.broadcast_to(words, (frames, *words.shape)) for words in always]
        gaps = {image.port.name: image.stored.gap for image in interface.images}
        return Cosimulation(
            self.top,
            tuple(sources),
            tuple(replace(_shape(port), gap=gaps.get(port.name, 1)) for port in interface.inputs),
            tuple(map(_shape, interface.outputs)),
            tuple(stimuli),
            True,
            sum(self.cycles),
            self.design.schedule.frames,
            tuple((_shape(given.port), given_words(given, others)) for given in interface.loads),
            folder,
            loops=tuple(map(loop_shape, interface.loops)),
        )

    def _cosimulated(self, simulated: Simulation) -> Cosimulated:
        memories = ((self.design.memories[name], name, *use) for name, use in simulated.peaks.items())
        fifos = tuple(
            FIFO(fifo=name, layer=memory.layers, width=memory.width, depth=depth, peak=peak)
            for memory, name, peak, depth in memories
        )
        reloaded = (self._reloaded(), self._tensors(simulated.reloaded)) if self.interface.loads else None
        outputs = self._tensors(simulated.outputs)
        return Cosimulated(outputs, simulated.latency_cycles, simulated.ii_cycles, simulated.tool, fifos, reloaded)

    def _words(self, program: Program, raws: Sequence[Raw]) -> list[Words]:
        expected = zip(self.interface.outputs, Emulator(program).run_raw(raws), program.outputs, strict=True)
        return [_tokens(port, raw, program.nodes[output.node].type) for port, raw, output in expected]

    def _tensors(self, results: Sequence[Words]) -> list[Raw]:
        return [
            _tensor(port, words, self.program.nodes[output.node].type)
            for port, words, output in zip(self.interface.outputs, results, self.program.outputs, strict=True)
        ]


def other_values(program: Program) -> dict[ParameterKey, Ints]:
    """Random raw values for the parameters of ``program`` that are kept in memories."""
    kept = [place for place, node in parameters(program).items() if not cast(Parameter, node.op).external]
    values = random_values(program)
    return {place: values[place] for place in kept}


def given_words(given: WeightPort, values: Mapping[ParameterKey, Ints]) -> Words:
    """The 32-bit words of each token of a port for weights."""
    tokens = given.tokens(values[given.loaded.layer, given.loaded.name])
    return pack(given.port.fields, [tokens])


def _shape(port: StreamPort) -> StreamShape:
    return StreamShape(port.name, port.width, port.tokens)


def loop_shape(loop: LoopPort) -> LoopShape:
    """The streams of a memory outside, as fast as it is planned to be."""
    out, back = (replace(_shape(port), gap=loop.kind.gap) for port in (loop.out, loop.back))
    return LoopShape(out, back, loop.kind.spans, loop.kind.latency)


def _tensor(port: StreamPort, words: Words, kind: TensorType) -> Raw:
    """Tokens as the raw values of the program's tensor."""
    (found,) = unpack(port.fields, words.reshape(len(words) * port.tokens, -1))
    tokens = objects(found).reshape(len(words), port.tokens, -1)
    return _shifted(tokens, _gained(port, kind)).reshape(len(words), *kind.shape)


def _tokens(port: StreamPort, raw: Raw, kind: TensorType) -> Words:
    """Raw values of the program's tensor as tokens: the inverse of `_tensor`."""
    tokens = _shifted(objects(raw).reshape(len(raw), port.tokens, -1), -_gained(port, kind))
    return pack(port.fields, [tokens.reshape(len(raw) * port.tokens, -1)]).reshape(len(raw), port.tokens, -1)


def _gained(port: StreamPort, kind: TensorType) -> Ints:
    """Fractional bits that elements of the program's tensor have beyond those of the port's fields: (tokens, fields)."""
    frac = np.broadcast_to(kind.frac, kind.shape).reshape(port.tokens, -1)
    return objects(frac - np.array([field.frac for field in port.fields]))


def _shifted(raw: Raw, bits: Ints) -> Raw:
    """``raw * 2**bits``; bits that are shifted out are zero."""
    return (raw << np.maximum(bits, 0)) >> np.maximum(-bits, 0)
