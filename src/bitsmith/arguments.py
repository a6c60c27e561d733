"""The arguments of conversions by name, as types: what commands and the familiar functions pass on to ``convert``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from bitsmith.config import BackendName, BitsLike, IOTypeName
from bitsmith.emulate.batches import Arrays
from bitsmith.fidelity.framework import Check
from bitsmith.frontends.custom.call import Layers
from bitsmith.frontends.input_shapes import Example, InputShapes


class Further(TypedDict, total=False):
    """Arguments of :func:`convert` that not every user needs."""

    project_name: str
    input_data_tb: str | Path | None
    backend: BackendName
    clock_uncertainty: float | str | None
    latency: int | str | None
    io_type: IOTypeName
    board: str | Path | None
    platform: str | None
    interface: str | None
    input_shape: InputShapes | None
    example: Example | Sequence[Example] | None
    bits: BitsLike
    layers: Layers | None
    outliers: str | None
    check: Check
    strict: bool
    rounding: str | None
    override: bool
    allow_approximate: bool
    fit: bool


class Arguments(Further, total=False):
    """Arguments of :func:`convert` beside the model, the output folder and the configuration."""

    part: str | None
    clock_period: float | None
    calibration: Arrays | None
    weights: str | Path | None
