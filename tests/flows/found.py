"""The tool that a test starts itself."""

from bitsmith.flows.tools import FoundTool, Tool, require, seek


def find(tool: Tool) -> FoundTool:
    """The tool on PATH if new enough, else the one that pip installed.

    Raises:
        ToolMissingError: says what was looked for, how to install it and what works without it.
    """
    return require((seek(tool),))[0]
