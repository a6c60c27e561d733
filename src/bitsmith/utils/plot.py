"""Pictures of converted models: their layers and what flows between them."""

from __future__ import annotations

from pathlib import Path
from typing import overload

from bitsmith.base.project import write_atomically
from bitsmith.errors import ConfigError
from bitsmith.model import Model
from bitsmith.options.signature import answering
from bitsmith.report.figures.picture import Content, Direction, Dot, Format, Picture, dot, picture, plotted, svg

__all__ = ["model_to_dot", "plot_model"]

_LEAST_DPI, _MOST_DPI = 10, 1200


@overload
def plot_model(
    model: Model,
    to_file: None,
    show_shapes: bool = ...,
    show_layer_names: bool = ...,
    show_precision: bool = ...,
    rankdir: str = ...,
    dpi: float = ...,
) -> Picture: ...


@overload
def plot_model(
    model: Model,
    to_file: str | Path = ...,
    show_shapes: bool = ...,
    show_layer_names: bool = ...,
    show_precision: bool = ...,
    rankdir: str = ...,
    dpi: float = ...,
) -> Path: ...


@answering
def plot_model(
    model: Model,
    to_file: str | Path | None = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    show_precision: bool = False,
    rankdir: str = "TB",
    dpi: float = 96,
) -> Path | Picture:
    """Draw the layers of a converted model and what flows between them into a file, and return its path.

    Args:
        to_file: a name ending in .svg, or in .png or .pdf, which need the extra ``report``; None: the picture is returned, which
            a notebook shows.
        show_shapes: the result's shape and the number of trained values.
        show_precision: formats of the trained values, and the width, fractional bits and proved range of the result.
        rankdir: ``TB`` from top to bottom, ``LR`` from left to right.
        dpi: dots per inch of a .png.

    Raises:
        ConfigError: another ending, direction or resolution.
        ToolMissingError: matplotlib is needed and not installed.
        ProjectError: the file cannot be written.

    Examples:
        ```python
        bitsmith.utils.plot_model(model, "layers.svg", show_shapes=True, show_precision=True)
        ```
    """
    path = Path("model.svg" if to_file is None else to_file)
    if not str(path).isprintable():
        raise ConfigError(f"to_file={str(path)!r}", where="plot_model", accepted="a path such as model.png")
    if not _LEAST_DPI <= dpi <= _MOST_DPI:
        raise ConfigError(f"dpi={dpi!r}", where="plot_model", accepted=f"{_LEAST_DPI} to {_MOST_DPI}")
    try:
        kind = Format(path.suffix.removeprefix(".").lower())
    except ValueError as error:
        accepted = f"names ending in .{', .'.join(Format)}"
        raise ConfigError(f"to_file={str(to_file)!r}", where="plot_model", accepted=accepted) from error
    content = Content(show_layer_names, show_shapes, show_precision)
    drawn = picture(model.design(), content, _direction(rankdir, "plot_model"))
    if to_file is None:
        return drawn
    drawing = svg(drawn) if kind is Format.SVG else plotted(drawn, kind, dpi)
    write_atomically(path, drawing)
    return path


def model_to_dot(
    model: Model,
    show_shapes: bool = False,
    show_layer_names: bool = True,
    show_precision: bool = False,
    rankdir: str = "TB",
    dpi: float = 96,
) -> Dot:
    """The layers of a converted model as a graph in the language of Graphviz: ``to_string()``, ``write(path)``.

    The arguments are as of :func:`plot_model`; the resolution goes to Graphviz.

    Raises:
        ConfigError: another direction.
    """
    content = Content(show_layer_names, show_shapes, show_precision)
    return dot(model.design(), content, _direction(rankdir, "model_to_dot"))


def _direction(rankdir: str, where: str) -> Direction:
    try:
        return Direction(rankdir)
    except ValueError as error:
        raise ConfigError(f"rankdir={rankdir!r}", where=where, accepted=", ".join(Direction)) from error
