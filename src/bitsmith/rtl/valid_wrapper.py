"""The module ``<top>_valid``: a pipeline that has none, with signals that say in which cycles samples come, and results."""

from bitsmith.rtl.bus_wrappers import PORTS, Text, of_memories
from bitsmith.rtl.design import pipeline_ports, valid_pipeline
from bitsmith.rtl.interface import Interface
from bitsmith.rtl.names import Wrapper


def with_valid(interface: Interface) -> str:
    """The text of the wrapper, which has the ports that pipelines have by themselves otherwise."""
    (given,), (result,) = interface.inputs, interface.outputs
    beside = Text(
        about=(f"{interface.top}, and in which cycles its results are those of samples.",),
        ports=tuple(pipeline_ports(given.width, result.width)),
        lines=tuple(valid_pipeline(interface.latency)),
        connections=(".clk(clk)", ".in_data(in_data)", ".out_data(out_data)"),
    )
    return (beside + of_memories(interface, PORTS)).module(interface, Wrapper.VALID.of(interface.top), interface.top)
