"""Networks whose tokens pass through memories outside of the circuit, in spans that are put right again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.kinds import Outside, Reorder, Rom, Source
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.tokens import Stream


def through_memories(
    network: Network, seed: int, most: int = 3, *, whole: bool = False, rates: tuple[int, int] | None = None
) -> Network:
    """``network``, of which some results pass through a memory, and all readers of each take them from there.

    ``whole``: memories are read as a whole, in order; else in random spans, behind which tokens are reordered. ``rates`` are
    their gaps and latencies, if these are not random.
    """
    rng = np.random.default_rng(seed)
    ports = [
        OutputPort(number, port)
        for number, process in enumerate(network.processes)
        for port in range(len(process.results))
        if not (isinstance(process.kind, Rom) or (isinstance(process.kind, Source) and process.kind.stored is not None))
        and any(OutputPort(number, port) in one.args for one in network.processes)
    ]
    chosen = {ports[k] for k in rng.permutation(len(ports))[: int(rng.integers(1, most + 1))]}
    new: list[Process] = []
    moved: dict[OutputPort, OutputPort] = {}
    for number, process in enumerate(network.processes):
        moved |= {OutputPort(number, port): OutputPort(len(new), port) for port in range(len(process.results))}
        new.append(process)
        for source in sorted(chosen, key=lambda one: one.port):
            if source.process == number:
                parts = list(
                    _memory(
                        rng, f"memory{len(new)}", moved[source], process.results[source.port], len(new), whole, rates
                    )
                )
                new += parts
                moved[source] = OutputPort(len(new) - 1)
    inside = {id(process) for process in network.processes}
    return Network(
        tuple(
            replace(process, args=tuple(moved[source] for source in process.args)) if id(process) in inside else process
            for process in new
        )
    )


def _memory(
    rng: np.random.Generator,
    name: str,
    source: OutputPort,
    stream: Stream,
    number: int,
    whole: bool,
    rates: tuple[int, int] | None,
) -> Iterator[Process]:
    """The memory, and what puts its tokens in order again; they have numbers from ``number`` on."""
    tokens, drawn = stream.tokens, (int(rng.integers(1, 4)), int(rng.choice([1, 2, 7, 30])))
    rates = drawn if rates is None else rates
    if whole:
        yield Process(Outside(name, ((0, tokens),), *rates), (source,), (stream,), (stream,))
        return
    cuts = np.unique(np.concatenate([[0, tokens], rng.integers(0, tokens + 1, int(rng.integers(0, 4)))]))
    spans = [(int(first), int(end - first)) for first, end in itertools.pairwise(cuts)]
    for _ in range(int(rng.integers(0, 3))):  # more than once, or parts of others
        first = int(rng.integers(0, tokens))
        spans.append((first, int(rng.integers(1, tokens - first + 1))))
    if rng.random() < 0.6:
        spans = [spans[k] for k in rng.permutation(len(spans))]
    outside = Outside(name, tuple(spans), *rates)
    read = Stream((len(outside.source),), stream.token)
    places = {int(token): place for place, token in enumerate(outside.source)}
    order = np.array([places[token] for token in range(tokens)])
    yield Process(outside, (source,), (stream,), (read,))
    yield Process(Reorder(order), (OutputPort(number),), (read,), (stream,))
