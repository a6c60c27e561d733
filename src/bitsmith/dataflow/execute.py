"""The meaning of a network of processes, frame by frame, without time: the reference that hardware is compared with.

Tokens are rows of raw values. Token functions run in the emulator, all tokens of a frame at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from bitsmith.dataflow import processes as kinds
from bitsmith.dataflow.execute_engine import executed
from bitsmith.dataflow.processes import Network, Process, gives_back
from bitsmith.emulate import Emulator
from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.indexing import moved
from bitsmith.ir.types import Ints, objects


def execute(
    network: Network, frame: Sequence[Ints], weights: Mapping[tuple[str, str], Ints] | None = None
) -> list[Ints]:
    """Raw outputs, of the shapes and in the types of the exits' streams, for raw inputs in those of the entries'.

    ``weights``: raw values of the tensors that come in with each frame, by layer and name.
    """
    back = {
        (source.process, source.port): _any(stream)
        for number, process in enumerate(network.processes)
        for source, stream in zip(process.args, process.takes, strict=True)
        if gives_back(number, source)
    }
    while True:  # each time a round more is right
        outputs, values = _executed(network, frame, weights or {}, back)
        if all(bool(np.array_equal(tokens, values[port])) for port, tokens in back.items()):
            return outputs
        back = {port: values[port] for port in back}


def _any(stream: kinds.Stream) -> Ints:
    """Some tokens of a stream."""
    return objects(np.broadcast_to(stream.token.lo, (stream.tokens, *stream.token.shape)))


def _executed(
    network: Network,
    frame: Sequence[Ints],
    weights: Mapping[tuple[str, str], Ints],
    back: Mapping[tuple[int, int], Ints],
) -> tuple[list[Ints], dict[tuple[int, int], Ints]]:
    """Raw outputs and the tokens of all results, if those that go ``back`` are these."""
    values: dict[tuple[int, int], Ints] = dict(back)
    given = iter(frame)
    outputs = []
    for number, process in enumerate(network.processes):
        takes = [
            values[source.process, source.port].reshape(stream.tokens, *stream.token.shape)
            for source, stream in zip(process.args, process.takes, strict=True)
        ]
        if isinstance(process.kind, kinds.Source):
            loaded = process.kind.loaded
            raw = next(given) if loaded is None else loaded.tiles(weights[loaded.layer, loaded.name])
            results = [objects(raw).reshape(process.results[0].tokens, -1)]
        elif isinstance(process.kind, kinds.Sink):
            outputs.append(takes[0].reshape(process.takes[0].shape))
            results = []
        else:
            results = _run(process, takes)
        for port, (result, stream) in enumerate(zip(results, process.results, strict=True)):
            tokens = objects(result).reshape(stream.tokens, *stream.token.shape)
            if bool(np.any(tokens < stream.token.lo)) or bool(np.any(tokens > stream.token.hi)):
                raise ProgramError(f"tokens of process {number} outside of their type")
            values[number, port] = tokens
    return outputs, values


def _run(process: Process, takes: Sequence[Ints]) -> list[Ints]:
    kind = process.kind
    match kind:
        case kinds.Rom():
            return [kind.raw]
        case kinds.Map():
            return [objects(result) for result in Emulator(kind.program, threads=1).run_raw(takes)]
        case kinds.FoldedProduct():
            return [_folded_product(kind, process, takes[0])]
        case kinds.Window():
            stream = process.takes[0]
            source = moved(kind.op, stream.shape)
            return [_rescaled(_picked(takes[0].reshape(-1), source.reshape(-1)), process)]
        case kinds.Sweep():
            return [_swept(kind, process, takes[0])]
        case kinds.Reduce():
            rows = takes[0].reshape(-1, kind.count, *takes[0].shape[1:])
            return [objects(rows.sum(axis=1) if isinstance(kind.op, ops.Sum) else rows.max(axis=1))]
        case kinds.WidthConverter():
            return [_width_converter(kind, process, takes[0])]
        case kinds.Reorder():
            empty = np.zeros((1, *takes[0].shape[1:]), dtype=np.object_)
            return [np.concatenate([takes[0], empty])[kind.source]]
        case kinds.Interleave():
            left = [iter(tokens) for tokens in takes]
            return [np.stack([objects(next(left[source])) for source in kind.source])]
        case kinds.Scan():
            return [_scan(kind, takes)]
        case kinds.Feedback():
            return [np.concatenate([takes[0], takes[1][: -len(takes[0])]])]
        case kinds.Engine():
            return [executed(kind, takes[0])]
        case kinds.Source() | kinds.Sink():
            raise ProgramError("a boundary has no function")
        case _:
            assert_never(kind)


def _picked(values: Ints, source: kinds.Numbers) -> Ints:
    return np.concatenate([values, np.zeros(1, dtype=np.object_)])[source]


def _swept(kind: kinds.Sweep, process: Process, tokens: Ints) -> Ints:
    """The tokens of windows, one after another."""
    source = moved(kind.op, kind.positions(process.takes[0])).reshape(-1, 1, 1, math.prod(kind.op.size), 1)
    each = (np.arange(kind.blocks)[:, None] * kind.parts + np.arange(kind.parts))[:, None, None]
    found = np.where(source < 0, -1, source * kind.blocks * kind.parts + each)
    found = np.broadcast_to(found, (len(found), kind.blocks, kind.times, *found.shape[3:]))
    empty = np.zeros((1, *tokens.shape[1:]), dtype=np.object_)
    return objects(np.concatenate([tokens, empty])[found.ravel()])


def _rescaled(values: Ints, process: Process) -> Ints:
    """Elements with the scale of the operand's tokens in that of the result's."""
    have, want = process.takes[0].token, process.results[0].token
    rank = len(want.shape) - len(have.shape)
    shift = objects(np.broadcast_to(want.frac, want.shape) - have.frac.reshape((1,) * rank + have.frac.shape))
    return objects(values.reshape(-1, *want.shape) << shift)


def _folded_product(kind: kinds.FoldedProduct, process: Process, tokens: Ints) -> Ints:
    """Matrix products, step by step, of elements in the scale that all lanes have in common."""
    groups, steps, n, _ = kind.weights.shape
    have = process.takes[0].token
    tokens = objects(tokens << objects(kinds.union_type(have, 1).frac - have.frac))
    vectors = tokens.reshape(-1, groups, steps, tokens.shape[1], n)
    weights = kind.weights.reshape(groups, steps, n, kind.sets, -1)
    weights = np.tile(weights, (1, 1, 1, tokens.shape[1] // kind.sets, 1))
    return np.asarray(np.einsum("vgsln,gsnlm->vglm", vectors, weights), dtype=np.object_)


def _width_converter(kind: kinds.WidthConverter, process: Process, tokens: Ints) -> Ints:
    """Elements in their new tokens, in the scale of those."""
    have, want = process.takes[0].token, process.results[0].token
    if want.size > have.size:
        return tokens
    parts = tokens.reshape(len(tokens), have.size // want.size, want.size)
    have_frac = np.broadcast_to(have.frac, have.shape).reshape(-1, want.size)
    shift = objects(np.broadcast_to(want.frac, want.shape).reshape(-1) - have_frac)
    return objects(np.tile(parts << shift, (1, kind.times, 1)))


def _scan(kind: kinds.Scan, takes: Sequence[Ints]) -> Ints:
    """The recurrence of one frame."""
    body = Emulator(kind.body, threads=1)
    states = [objects(tokens) for tokens in takes[: kind.states]]
    results = []
    for step in range(kind.steps):
        *states, result = (
            objects(value)
            for value in body.run_raw([*states, *(tokens[step : step + 1] for tokens in takes[kind.states :])])
        )
        states = [_in_type(state, kind, k) for k, state in enumerate(states)]
        results.append(result)
    return np.concatenate(results)


def _in_type(state: Ints, kind: kinds.Scan, number: int) -> Ints:
    """A next state in the scale of the state."""
    have = kind.body.nodes[kind.body.outputs[number].node].type
    want = kind.body.nodes[kind.body.inputs[number]].type
    shift = objects(np.broadcast_to(want.frac - have.frac, want.shape))
    return np.asarray((state << objects(np.maximum(shift, 0))) >> objects(np.maximum(-shift, 0)), dtype=np.object_)
