"""Pictures of layers: every layer and connection is there, in files of three kinds, whatever the names."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from bitsmith.building.job import Target
from bitsmith.errors import ConfigError, ProjectError, ToolMissingError
from bitsmith.model import Model
from bitsmith.report.figures import plots
from bitsmith.report.figures.picture import Content, Direction, Format, dot, picture, plotted, svg
from bitsmith.report.summary import Design
from bitsmith.utils import model_to_dot, plot_model
from tests.report.networks import lowered, residual
from tests.report.reports import design

_SVG = "{http://www.w3.org/2000/svg}"
ALL = Content(shapes=True, precision=True)


def _texts(drawn: bytes) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(drawn).iter(f"{_SVG}text")]


def _model(folder: Path) -> Model:
    network = residual()
    return Model(network, lowered(network), Target(folder, "residual", "LFE5U-85F-6BG381C", 10.0))


def test_boxes_say_what_was_asked_for() -> None:
    assert _texts(svg(picture(design(), Content(), Direction.DOWN))) == [
        "x",
        "InputLayer",
        "hidden",
        "Dense",
        "relu",
        "ReLU",
        "mix",
        "Dense",
        "sum",
        "Add",
    ]
    assert _texts(svg(picture(design(), Content(names=False), Direction.DOWN)))[:2] == ["InputLayer", "Dense"]
    texts = _texts(svg(picture(design(), ALL, Direction.DOWN)))
    assert texts[:5] == ["x", "InputLayer", "shape 4", "result s12, 8 fractional bits", "-8 .. 8"]
    assert {"36 parameters, 100 % not zero", "weight fixed<6,2>", "result u9, 6 fractional bits"} <= set(texts)


@pytest.mark.parametrize("direction", list(Direction))
def test_everything_lies_within_the_picture_and_arrows_end_at_boxes(direction: Direction) -> None:
    drawn = picture(design(), ALL, direction)
    down = direction is Direction.DOWN
    entries = {round(box.y if down else box.x, 3) for box in drawn.boxes}
    for box in drawn.boxes:
        assert 0 <= box.x <= drawn.width - drawn.box_width and 0 <= box.y <= drawn.height - drawn.box_height
    for edge in drawn.edges:
        assert all(0 <= x <= drawn.width and 0 <= y <= drawn.height for x, y in edge.points)
        assert not edge.arrives or round(edge.points[-1][1 if down else 0], 3) in entries
    assert sum(edge.arrives for edge in drawn.edges) == sum(len(row.inputs) for row in design().layers)
    assert [box.output for box in drawn.boxes] == [False] * 4 + [True]


@pytest.mark.parametrize("direction", list(Direction))
def test_a_file_has_each_box_and_arrow_where_the_picture_has_it(direction: Direction) -> None:
    drawn = picture(design(), ALL, direction)
    root = ElementTree.fromstring(svg(drawn))
    whole, *boxes = (
        [float(shape.get(key, "0")) for key in ("x", "y", "width", "height")] for shape in root.iter(f"{_SVG}rect")
    )
    assert whole == pytest.approx([0.0, 0.0, drawn.width, drawn.height], abs=0.06)
    for box, found in zip(drawn.boxes, boxes, strict=True):
        assert found == pytest.approx([box.x, box.y, drawn.box_width, drawn.box_height], abs=0.06)
    for edge, path in zip(drawn.edges, root.iter(f"{_SVG}path"), strict=True):
        numbers = [float(number) for number in re.findall(r"[\d.]+", path.get("d", ""))]
        assert numbers == pytest.approx([number for point in edge.points for number in point], abs=0.06)
    assert len(list(root.iter(f"{_SVG}polygon"))) == sum(edge.arrives for edge in drawn.edges)


@pytest.mark.parametrize("direction", list(Direction))
def test_a_raster_has_the_colours_of_boxes_and_arrows_where_they_are(direction: Direction) -> None:
    drawn = picture(design(), ALL, direction)
    pixels = image.imread(io.BytesIO(plotted(drawn, Format.PNG, 96.0)))[..., :3]  # as many as the picture's units

    def seen(x: float, y: float) -> str:
        red, green, blue = (int(part) for part in np.rint(pixels[int(y), int(x)] * 255))
        return f"#{red:02x}{green:02x}{blue:02x}"

    root = ElementTree.fromstring(svg(drawn))
    for corners in root.iter(f"{_SVG}polygon"):
        points = [tuple(map(float, corner.split(","))) for corner in corners.attrib["points"].split()]
        assert seen(*np.mean(points, axis=0)) == corners.get("fill")
    for box, shape in zip(drawn.boxes, list(root.iter(f"{_SVG}rect"))[1:], strict=True):
        assert seen(box.x + 5, box.y + drawn.box_height / 2) == shape.get("fill")
        assert seen(box.x + drawn.box_width - 5, box.y + drawn.box_height / 2) == shape.get("fill")


def _hostile() -> Design:
    shown = design()
    names = {"x": "</svg><script>$", "hidden": "\x00\x1b$\\frac{", "relu": "n" * 5000}
    rows = [
        replace(row, name=names.get(row.name, row.name), inputs=tuple(names.get(name, name) for name in row.inputs))
        for row in shown.layers
    ]
    return replace(shown, layers=tuple(rows))


@pytest.mark.parametrize("direction", list(Direction))
def test_lines_of_a_box_stand_below_each_other_in_its_middle(direction: Direction) -> None:
    drawn = picture(design(), ALL, direction)
    texts = iter(ElementTree.fromstring(svg(drawn)).iter(f"{_SVG}text"))
    for box in drawn.boxes:
        lines = [next(texts) for _ in box.lines]
        heights = [float(line.attrib["y"]) for line in lines]
        assert [line.text for line in lines] == list(box.lines) and heights == sorted(set(heights))
        assert box.y < heights[0] and heights[-1] < box.y + drawn.box_height
        assert sum(heights) / len(heights) - 4.0 == pytest.approx(box.y + drawn.box_height / 2, abs=0.2)
        assert {line.attrib["x"] for line in lines} == {f"{box.x + drawn.box_width / 2:.1f}"}
    assert next(texts, None) is None


def test_hostile_names_are_only_text() -> None:
    drawn = picture(_hostile(), ALL, Direction.DOWN)
    content = svg(drawn)
    assert b"<script>" not in content
    assert {"</svg><script>$", "��$\\frac{", "n" * 43 + "…"} <= set(_texts(content))
    assert plotted(drawn, Format.PNG, 50).startswith(b"\x89PNG")


def test_files_of_all_kinds(tmp_path: Path) -> None:
    model = _model(tmp_path)
    for name, start in (("m.png", b"\x89PNG"), ("m.pdf", b"%PDF"), ("m.SVG", b"<svg")):
        path = plot_model(model, tmp_path / name, show_shapes=True, rankdir="LR")
        assert path.read_bytes().startswith(start)
    small, large = (plot_model(model, tmp_path / f"{dpi}.png", dpi=dpi).stat().st_size for dpi in (50, 200))
    assert large > small


@pytest.mark.slow
@pytest.mark.ci
def test_very_long_networks_still_fit_into_a_png() -> None:
    (row,) = design().layers[:1]
    chain = [replace(row, name=str(k), inputs=(str(k - 1),) if k else ()) for k in range(350)]
    drawn = picture(replace(design(), layers=tuple(chain)), Content(), Direction.DOWN)
    assert drawn.height > 30_000
    assert plotted(drawn, Format.PNG, 200).startswith(b"\x89PNG")


def test_tips_of_arrows_have_no_strokes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As large in all files, as those of SVG have none."""
    drawn, made = picture(design(), ALL, Direction.DOWN), list[Figure]()

    def figure(width: float, height: float) -> Figure:
        made.append(plots.figure(width, height))
        return made[-1]

    monkeypatch.setattr("bitsmith.report.figures.picture.figure", figure)
    plotted(drawn, Format.PNG, 50)
    tips = [patch for patch in made[0].axes[0].patches if isinstance(patch, Polygon)]
    assert len(tips) == sum(edge.arrives for edge in drawn.edges) > 0
    assert {tip.get_linewidth() for tip in tips} == {0}
    polygons = list(ElementTree.fromstring(svg(drawn)).iter(f"{_SVG}polygon"))
    assert not any("stroke" in polygon.attrib for polygon in polygons)


def test_what_cannot_be_drawn_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(tmp_path)
    with pytest.raises(ConfigError, match=r"\.svg, \.png, \.pdf"):
        plot_model(model, tmp_path / "model.bmp")
    with pytest.raises(ConfigError, match="TB, LR"):
        plot_model(model, tmp_path / "model.svg", rankdir="RL")
    with pytest.raises(ProjectError):
        plot_model(model, tmp_path / "no" / "such" / "model.svg")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ToolMissingError, match="report"):
        plot_model(model, tmp_path / "model.png")
    assert plot_model(model, tmp_path / "model.svg").exists()


def test_arguments_of_pictures_at_and_beyond_their_limits(tmp_path: Path) -> None:
    model, path = _model(tmp_path), tmp_path / "model.svg"
    for dpi in (10, 96.5, 1200):
        assert plot_model(model, path, dpi=dpi) == path
    for dpi in (9.99, 1200.01, 0, -96, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="10 to 1200"):
            plot_model(model, path, dpi=dpi)
    for name in ("", "model", "model.svg.gz", "mo\x1bdel.svg", "model\n.svg"):
        with pytest.raises(ConfigError, match="to_file="):
            plot_model(model, name)


@pytest.mark.parametrize("shapes", [False, True])
@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("precision", [False, True])
def test_all_forms_of_a_picture_show_the_same(tmp_path: Path, shapes: bool, names: bool, precision: bool) -> None:
    """Files, pictures in notebooks and graphs of Graphviz, in both directions: what was asked for, and nothing else."""
    model, path = _model(tmp_path), tmp_path / "model.svg"
    for direction in Direction:
        shown = {"show_shapes": shapes, "show_layer_names": names, "show_precision": precision}
        content = Content(names, shapes, precision)
        drawn = picture(model.design(), content, direction)
        assert plot_model(model, None, **shown, rankdir=direction) == drawn
        assert plot_model(model, path, **shown, rankdir=direction).read_bytes() == svg(drawn)
        assert str(model_to_dot(model, **shown, rankdir=direction)) == str(dot(model.design(), content, direction))
    assert plot_model(model, None) == picture(model.design(), Content(), Direction.DOWN)
    assert str(model_to_dot(model)) == str(dot(model.design(), Content(), Direction.DOWN))
    texts = _texts(svg(drawn))
    assert ("shape 4" in texts, "hidden" in texts, "weight fixed<6,2>" in texts) == (shapes, names, precision)
