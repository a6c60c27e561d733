"""Tokens that are wider than the streams of a vendor's tool may be: how many beats each of them becomes.

In: the network and what the tool takes. Out: beats by result. All beats of a token have as many elements, and a step of a process
that reads or writes such tokens lasts as many cycles as they have beats. Width converters pass beats on, one in a cycle, where
each part of a token is within one.

The argument for depths (:mod:`bitsmith.dataflow.schedule`) holds for beats: they go in order through the one FIFO that would have
had the tokens, and which has places for the beats of as many tokens, and of one more, since an end may be amid a token.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, OutputPort
from bitsmith.hls.dialects.spelling import Streams
from bitsmith.hls.loads import is_array
from bitsmith.hls.scalar import common_format

Beats = Mapping[OutputPort, int]
"""Beats of each token of a result; one, where it is not named."""

WHOLE: Beats = MappingProxyType({})
"""No token is cut."""

_BYTE = 8


def token_beats(network: Network, streams: Streams, *, parallel: bool) -> Beats:
    """The beats of all tokens that are too wide for ``streams``; ``parallel``: the top function takes arrays, but of weights."""
    chosen: dict[OutputPort, int] = {}
    results = [OutputPort(k, port) for k, each in enumerate(network.processes) for port in range(len(each.results))]
    for result in sorted(results, key=lambda each: _size(network, each)):
        size, most = _size(network, result), _most_elements(network, result, streams, parallel=parallel)
        if most is None or size <= most:
            continue
        fitting = [count for count in range(1, most + 1) if size % count == 0]
        parts = [_size(network, part) // chosen.get(part, 1) for part in _parts(network, result)]
        apt = [count for count in fitting if all(count % part == 0 for part in parts)]
        chosen[result] = size // max(apt or fitting)
    return chosen or WHOLE


def step_cycles(network: Network, number: int, beats: Beats) -> int:
    """The fewest cycles of a step of process ``number``, for what it reads and writes."""
    process = network.processes[number]
    takes = [beats.get(source, 1) for source in process.args]
    gives = [beats.get(OutputPort(number, port), 1) for port in range(len(process.results))]
    if isinstance(process.kind, kinds.WidthConverter) and passes_beats(network, number, beats):
        return gives[0] if process.takes[0].token.size > process.results[0].token.size else takes[0]
    return max((1, *takes, *gives))


def passes_beats(network: Network, number: int, beats: Beats) -> bool:
    """Return True if each beat of the larger tokens of a width converter is some whole beats of the smaller ones."""
    ends = network.processes[number].args[0], OutputPort(number)
    few, many = sorted(_size(network, end) // beats.get(end, 1) for end in ends)
    return whole_parts(many, few) > 0


def whole_parts(beat: int, part: int) -> int:
    """Parts of so many elements that are a beat; 0 if some would be in two beats."""
    return beat // part if beat % part == 0 else 0


def _size(network: Network, result: OutputPort) -> int:
    return int(network.processes[result.process].results[result.port].token.size)


def _most_elements(network: Network, result: OutputPort, streams: Streams, *, parallel: bool) -> int | None:
    """Elements of the widest beat; at least one, since no element is too wide for any tool."""
    width = common_format(network.processes[result.process].results[result.port].token).width
    most = [streams.most_bits // width] if streams.most_bits else []
    ends = [network.processes[result.process], *(network.processes[reader] for reader in _readers(network, result))]
    ports = [end for end in ends if isinstance(end.kind, kinds.Source | kinds.Sink)]
    if streams.port_bits and not all(is_array(port, parallel=parallel) for port in ports):
        most.append(streams.port_bits // (-(-width // _BYTE) * _BYTE))
    return max(1, min(most)) if most else None


def _parts(network: Network, result: OutputPort) -> Iterator[OutputPort]:
    """The tokens that width converters make of these, or these of."""
    maker = network.processes[result.process]
    ends = [maker.args[0]] if isinstance(maker.kind, kinds.WidthConverter) else []
    readers = _readers(network, result)
    ends += [
        OutputPort(number) for number in readers if isinstance(network.processes[number].kind, kinds.WidthConverter)
    ]
    return (end for end in ends if _size(network, end) < _size(network, result))


def _readers(network: Network, result: OutputPort) -> list[int]:
    return [number for number, process in enumerate(network.processes) if result in process.args]
