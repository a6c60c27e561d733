"""The vendors' logic tools: synthesis, place and route of a circuit without pads. A tool is a file here, and its scripts."""

from bitsmith.building.logic.quartus import QUARTUS
from bitsmith.building.logic.radiant import RADIANT
from bitsmith.building.logic.tool import LogicTool
from bitsmith.building.logic.vivado import VIVADO
from bitsmith.errors import ConfigError

LOGIC_TOOLS: tuple[LogicTool, ...] = (VIVADO, QUARTUS, RADIANT)
"""All of them; another one is a file with its record, its scripts, and an entry here."""


def logic_tool(key: str, part: str) -> LogicTool:
    """Return the tool that users call ``key``, which must know ``part``.

    Raises:
        ConfigError: there is no such tool, or it is another vendor's.
    """
    for tool in LOGIC_TOOLS:
        if tool.key == key:
            if not tool.parts.fullmatch(part):
                raise ConfigError(
                    f"part {part!r} with tool {key!r}", where="build(tool=...)", accepted=f"such as {tool.example}"
                )
            return tool
    accepted = ", ".join(tool.key for tool in LOGIC_TOOLS)
    raise ConfigError(f"unknown tool {key!r}", where="build(tool=...)", accepted=f"{accepted}, or None for open tools")
