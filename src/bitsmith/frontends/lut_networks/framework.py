"""The records of networks of look-up tables."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from bitsmith.frontends.framework import ModelKey, PlainFramework, ReadOptions, no_content
from bitsmith.frontends.lut_networks import KANELE_MARK, LOGICNETS_MARK, TABLES_OF_LAYER
from bitsmith.frontends.outputs import FrameworkRun, ModelRun, NotComparedError
from bitsmith.layers.network import Network


def _no_live(model: object) -> bool:
    return False


def _no_outputs(run: ModelRun) -> FrameworkRun:
    raise NotComparedError("its tables are the model: nothing else computes them")


def _read_kanele(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.lut_networks.kanele import read_kanele

    return read_kanele(Path(cast("str | os.PathLike[str]", model)))


def _read_dwn(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.lut_networks.dwn import read_dwn

    return read_dwn({str(name): value for name, value in cast("Mapping[str, object]", model).items()})


def _read_logicnets(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.lut_networks.logicnets import read_logicnets

    return read_logicnets(Path(cast("str | os.PathLike[str]", model)), options.input_shape)


DWN = PlainFramework(
    name="torch_dwn",
    stem="dwn",
    keys=(ModelKey("DwnModel", (), weights=None, live=True),),
    files="",
    live="a dictionary of the trained tensors of torch_dwn",
    is_live=lambda model: isinstance(model, Mapping) and any(TABLES_OF_LAYER.fullmatch(str(name)) for name in model),
    is_content=no_content,
    folder=None,
    takes=frozenset(),
    read=_read_dwn,
    outputs=_no_outputs,
)

KANELE = PlainFramework(
    name="KANELÉ",
    stem="kanele",
    keys=(ModelKey("KaneleModel", (), weights=None, live=False),),
    files="truth_tables.json, with config.json beside it,",
    live=None,
    is_live=_no_live,
    is_content=lambda first: KANELE_MARK.match(first) is not None,
    folder=None,
    takes=frozenset(),
    read=_read_kanele,
    outputs=_no_outputs,
)

LOGICNETS = PlainFramework(
    name="LogicNets",
    stem="logicnets",
    keys=(ModelKey("LogicnetsModel", (), weights=None, live=False),),
    files="logicnet.v, with the files of its modules beside it,",
    live=None,
    is_live=_no_live,
    is_content=lambda first: LOGICNETS_MARK.match(first) is not None,
    folder=None,
    takes=frozenset({"input_shape"}),
    read=_read_logicnets,
    outputs=_no_outputs,
)
