"""The meaning of a network of processes, frame by frame, without time: the reference that hardware is compared with.

Tokens are rows of raw values. Token functions run in the emulator, all tokens of a frame at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from bitsmith.dataflow.kinds import Feedback, Scan, Sink, Source
from bitsmith.dataflow.processes import Network, gives_back
from bitsmith.dataflow.tokens import Stream
from bitsmith.errors import ProgramError
from bitsmith.ir.types import Ints, objects

Left: TypeAlias = dict[tuple[int, int], Ints]
"""What a frame leaves of the states that live on, by the process and the operand that has the initial ones."""


def execute(
    network: Network,
    frame: Sequence[Ints],
    weights: Mapping[tuple[str, str], Ints] | None = None,
    left: Left | None = None,
) -> list[Ints]:
    """Raw outputs, of the shapes and in the types of the exits' streams, for raw inputs in those of the entries'.

    ``weights``: raw values of the tensors that come in with each frame, by layer and name. ``left`` is what the frame before
    left, nothing after a reset, and becomes what this one leaves.
    """
    states = {} if left is None else left
    back = {
        (source.process, source.port): _any(stream)
        for number, process in enumerate(network.processes)
        for source, stream in zip(process.args, process.takes, strict=True)
        if gives_back(number, source)
    }
    while True:  # each time a round more is right
        after = dict(states)
        outputs, values, outside = _executed(network, frame, weights or {}, back, after)
        if all(bool(np.array_equal(tokens, values[port])) for port, tokens in back.items()):
            if outside:
                raise ProgramError(f"tokens of processes {outside} outside of their types")
            states.update(after)
            return outputs
        back = {port: values[port] for port in back}


def _any(stream: Stream) -> Ints:
    """Some tokens of a stream."""
    return objects(np.broadcast_to(stream.token.lo, (stream.tokens, *stream.token.shape)))


def _executed(
    network: Network,
    frame: Sequence[Ints],
    weights: Mapping[tuple[str, str], Ints],
    back: Mapping[tuple[int, int], Ints],
    left: Left,
) -> tuple[list[Ints], dict[tuple[int, int], Ints], list[int]]:
    """Raw outputs and the tokens of all results, if those that go ``back`` are these, and processes that leave their types."""
    outside = list[int]()
    values: dict[tuple[int, int], Ints] = dict(back)
    given = iter(frame)
    outputs = []
    for number, process in enumerate(network.processes):
        takes = [
            values[source.process, source.port].reshape(stream.tokens, *stream.token.shape)
            for source, stream in zip(process.args, process.takes, strict=True)
        ]
        kind = process.kind
        if isinstance(kind, Source):
            loaded = kind.loaded
            if kind.stored is not None:
                raw = kind.stored.raw
            else:
                raw = next(given) if loaded is None else loaded.tiles(weights[loaded.layer, loaded.name])
            results = [objects(raw).reshape(process.results[0].tokens, -1)]
        elif isinstance(kind, Sink):
            outputs.append(takes[0].reshape(process.takes[0].shape))
            results = []
        elif isinstance(kind, Scan):
            takes = [left.get((number, k), tokens) for k, tokens in enumerate(takes)]
            rows, states = kind.run_on(takes)
            left |= {(number, k): state for k, state in enumerate(states[: kind.kept])}
            results = [rows]
        elif isinstance(kind, Feedback) and kind.kept:
            results = kind.run(process.takes, process.results, [left.get((number, 0), takes[0]), takes[1]])
            left[number, 0] = takes[1][-len(takes[0]) :]
        else:
            results = kind.run(process.takes, process.results, takes)
        for port, (result, stream) in enumerate(zip(results, process.results, strict=True)):
            tokens = objects(result).reshape(stream.tokens, *stream.token.shape)
            if bool(np.any(tokens < stream.token.lo)) or bool(np.any(tokens > stream.token.hi)):
                outside.append(number)  # wrong, unless what went back is
                tokens = objects(np.clip(tokens, stream.token.lo, stream.token.hi))
            values[number, port] = tokens
    return outputs, values, outside
