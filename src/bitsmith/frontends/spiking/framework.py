"""The records of NIR and snnTorch."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bitsmith.frontends.framework import ModelKey, PlainFramework, ReadOptions, no_content
from bitsmith.frontends.outputs import FrameworkRun, ModelRun, NotComparedError
from bitsmith.frontends.spiking import is_neuron
from bitsmith.frontends.torch.live import is_module
from bitsmith.layers.network import Network

if TYPE_CHECKING:
    import torch


def _is_spiking(model: object) -> bool:
    """Return True of a module of PyTorch with a neuron of snnTorch in it."""
    return is_module(model) and any(is_neuron(module) for module in model.modules())


def _read_nir(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.spiking.nir import read_graph
    from bitsmith.frontends.spiking.source import graph_of_dict, graph_of_file

    if isinstance(model, str | os.PathLike):
        return read_graph(graph_of_file(Path(model)), options.input_shape, str(model))
    described = cast("dict[str, object]", model.to_dict())  # type: ignore[attr-defined]
    return read_graph(graph_of_dict(described, "the NIR graph"), options.input_shape, "the NIR graph")


def _no_outputs(run: ModelRun) -> FrameworkRun:
    raise NotComparedError("NIR is a format: nothing computes it but the tools that read it")


def _read_snntorch(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.spiking.snntorch import read_snntorch

    return read_snntorch(cast("torch.nn.Module", model), options.shapes)


def _snntorch_outputs(run: ModelRun) -> FrameworkRun:
    from bitsmith.frontends.spiking.snntorch import run_snntorch

    return FrameworkRun("snnTorch", (run_snntorch(cast("torch.nn.Module", run.model), run.inputs),))


NIR = PlainFramework(
    name="NIR",
    stem="nir",
    keys=(ModelKey("NirModel", (".nir",), weights=None, live=True),),
    files="*.nir of nir.write",
    live="a nir.NIRGraph",
    is_live=lambda model: type(model).__name__ == "NIRGraph" and type(model).__module__.split(".")[0] == "nir",
    is_content=no_content,
    folder=None,
    takes=frozenset({"input_shape"}),
    read=_read_nir,
    outputs=_no_outputs,
)

SNNTORCH = PlainFramework(
    name="snnTorch",
    stem="snntorch",
    keys=(ModelKey("SnntorchModel", (), weights=None, live=True),),
    files="",
    live="a torch.nn.Sequential with neurons of snnTorch",
    is_live=_is_spiking,
    is_content=no_content,
    folder=None,
    takes=frozenset({"input_shape"}),
    read=_read_snntorch,
    outputs=_snntorch_outputs,
)
