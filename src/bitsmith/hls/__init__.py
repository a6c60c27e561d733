"""Core programs as C++ for high-level synthesis: one writer, one small kernel header per family of ops, thin dialects.

In: a program whose nodes carry the names of the user's layers. Out: the files of a project, as a value. Nothing here knows
a layer, runs a tool or writes a file.
"""

from bitsmith.hls.project import HlsProject, HlsTarget, Port
from bitsmith.hls.streams import write_project
from bitsmith.hls.writer import write

__all__ = ["HlsProject", "HlsTarget", "Port", "write", "write_project"]
