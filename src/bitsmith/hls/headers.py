"""The kernel headers of the package, as texts for projects."""

from importlib import resources

KERNELS = ("cast.h", "elementwise.h", "linear.h", "reduce.h", "table.h", "wiring.h")
"""Headers that every project includes; none of them names a family of types or a vendor."""

STREAM_KERNELS = tuple(f"stream_{name}.h" for name in ("token", "accumulate", "taps", "engine"))
"""Headers that projects of processes include besides."""

BESIDE = ("raw.h", "words.h", "decimal.h")
"""Headers that others include, or test benches."""


def kernel(name: str) -> str:
    """The text of the header called ``name``."""
    return (resources.files("bitsmith.hls") / "include" / "bitsmith" / name).read_text(encoding="utf-8")
