"""Models whose states are inputs and outputs, as models that keep them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import Emulator
from bitsmith.errors import InputDataError, UnsupportedError
from bitsmith.ir.program import Program
from bitsmith.layers.network import Network, TiedState
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import simplify
from bitsmith.passes.program.tie_states import behind, tie_states


def tied(
    network: Network,
    program: Program,
    directives: Directives,
    pairs: Mapping[str, str],
    initial: Mapping[str, npt.ArrayLike],
) -> tuple[Network, Program]:
    """The network and its program with states for the ``pairs`` of inputs and outputs.

    Raises:
        InputDataError: other names, shapes or values.
        UnsupportedError: a circuit that cannot keep them.
    """
    _check(program, pairs, initial)
    inside = behind(program, pairs)
    for index in sorted(inside):
        layer = program.nodes[index].layer
        if directives.reuse_factor(layer) > 1:
            raise UnsupportedError(
                f"a reuse factor of {directives.reuse_factor(layer)} behind states that are tied",
                where=f"layer {layer!r}",
                accepted="1: a step of all that depends on the states is one function",
            )
    emulator, raws, states = Emulator(program), {}, list[TiedState]()
    for number, op in enumerate(emulator.inputs):
        if op.name in pairs:
            values = np.broadcast_to(np.asarray(initial.get(op.name, 0.0), dtype=np.float64), op.shape)
            raws[op.name] = np.asarray(emulator.quantize(number, values[None])[0][0], dtype=np.object_)
            states.append(TiedState(op.name, pairs[op.name], np.array(values)))
    tied = simplify(tie_states(program, pairs, raws))
    names = {output.name for output in tied.outputs}
    return (
        replace(
            network,
            inputs=tuple(name for name in network.inputs if name not in pairs),
            outputs=tuple(name for name in network.outputs if name in names),
            states=(*network.states, *states),
        ),
        tied,
    )


def _check(program: Program, pairs: Mapping[str, str], initial: Mapping[str, npt.ArrayLike]) -> None:
    inputs = {op.name: op.shape for op in program.input_ops()}
    outputs = {output.name: program.nodes[output.node].type.shape for output in program.outputs}
    where = "states"
    if not pairs:
        raise InputDataError(
            "no states", where=where, accepted="an output for each input that is a state: {'h': 'h_next'}"
        )
    for name, end in pairs.items():
        if name not in inputs:
            raise InputDataError(f"an input {name!r}", where=where, accepted=", ".join(map(repr, inputs)))
        if end not in outputs:
            raise InputDataError(f"an output {end!r}", where=where, accepted=", ".join(map(repr, outputs)))
        if outputs[end] != inputs[name]:
            found = f"input {name!r} of shape {inputs[name]} and output {end!r} of shape {outputs[end]}"
            raise InputDataError(found, where=where, accepted="one shape for both")
    if len(pairs) == len(inputs):
        raise InputDataError("states for all inputs", where=where, accepted="an input that is none")
    for name, values in initial.items():
        if name not in pairs:
            raise InputDataError(f"an initial value of {name!r}", where=where, accepted=", ".join(map(repr, pairs)))
        try:
            start = np.broadcast_to(np.asarray(values, dtype=np.float64), inputs[name])
        except (ValueError, TypeError) as error:
            accepted = f"numbers of shape {inputs[name]}"
            raise InputDataError(f"the initial value of {name!r}", where=where, accepted=accepted) from error
        if not np.all(np.isfinite(start)):
            raise InputDataError(
                f"an initial value of {name!r} that is not finite", where=where, accepted="finite numbers"
            )
