"""Systems for boards: what the vendors' tools need to put a circuit beside a processor or into a host, and the driver for it.

One file per vendor's system; boards are data of `bitsmith.devices`. Nothing here knows what a circuit computes.
"""

from bitsmith.systems.bare_metal import CARD, SOC_FPGA, ZYNQ, Transport, bare_metal
from bitsmith.systems.card import card_system
from bitsmith.systems.soc_fpga import soc_fpga_system
from bitsmith.systems.system import EXPORT, Core, Step, System
from bitsmith.systems.zynq import zynq_system

__all__ = [
    "CARD",
    "EXPORT",
    "SOC_FPGA",
    "ZYNQ",
    "Core",
    "Step",
    "System",
    "Transport",
    "bare_metal",
    "card_system",
    "soc_fpga_system",
    "zynq_system",
]
