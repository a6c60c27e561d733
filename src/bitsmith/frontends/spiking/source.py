"""NIR graphs as they are found: the dictionaries of live ones, and HDF5 files, whose subgraphs are resolved."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias, cast

import h5py
import numpy as np

from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.hdf5 import H5File, h5_errors, opened_h5
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.spiking.nir import Graph, Node
from bitsmith.layers.layer import Floats

Tree: TypeAlias = "dict[str, Tree | Floats | str | list[tuple[str, str]]]"

_DEEPEST = 8
_MOST = 100_000
_LONGEST = 1_000
"""Characters of a text."""


def graph_of_file(path: Path) -> Graph:
    """The graph of a ``.nir`` file.

    Raises:
        ModelFileError: it cannot be read, or is another HDF5 file.
    """
    where = str(path)
    with contextlib.ExitStack() as stack:
        file = opened_h5(path, where, stack)
        root = file.group(file.root, "node")
        if root is None:
            raise ModelFileError("no graph of NIR", where=where, accepted="a file of nir.write")
        return _graph(_Tree(file).group(root, 0), where)


def graph_of_dict(described: Mapping[str, object], where: str) -> Graph:
    """The graph of what ``to_dict`` of a live graph gives."""
    return _graph(_plain(described), where)


class _Tree:
    """Reads groups of a file as dictionaries."""

    def __init__(self, file: H5File) -> None:
        self._file, self._left = file, _MOST

    def group(self, group: h5py.Group, depth: int) -> Tree:
        """All that is in a group."""
        where = self._file.where
        with h5_errors(where):
            names = list(group)
        self._left -= len(names)
        if depth > _DEEPEST or self._left < 0:
            raise ModelFileError("a graph that is too deep or too large", where=where, accepted=f"{_MOST} data sets")
        tree: Tree = {}
        for name in names:
            item = self._file.child(group, name)
            if isinstance(item, h5py.Group):
                tree[name] = self.group(item, depth + 1)
            elif isinstance(item, h5py.Dataset):
                tree[name] = self._value(item, name)
        return tree

    def _value(self, item: h5py.Dataset, name: str) -> Floats | str | list[tuple[str, str]]:
        where = f"{self._file.where}, {shown(name)}"
        with h5_errors(where):
            text = h5py.check_string_dtype(item.dtype) is not None or item.dtype.kind == "S"
            if not text:
                return self._file.stored(item, shown(name)).read()
            if item.is_virtual or item.external or item.size > _MOST:
                raise ModelFileError("texts elsewhere, or too many", where=where, accepted=f"{_MOST} in the file")
            texts_read = np.asarray(item[()], dtype=object)
            texts = [each.decode("utf-8") if isinstance(each, bytes) else str(each) for each in texts_read.ravel()]
        if any(len(each) > _LONGEST for each in texts):
            raise ModelFileError("a long text", where=where, accepted=f"{_LONGEST} characters")
        if texts_read.ndim == 0:
            return texts[0]
        if texts_read.ndim == 2 and texts_read.shape[1] == 2:
            return list(zip(texts[::2], texts[1::2], strict=True))
        raise ModelFileError(f"texts of shape {texts_read.shape}", where=where, accepted="one, or pairs")


def _plain(described: Mapping[str, object]) -> Tree:
    """A dictionary of a live graph, with numbers as arrays."""
    tree: Tree = {}
    for name, value in described.items():
        if isinstance(value, Mapping):
            tree[str(name)] = _plain(value)
        elif isinstance(value, str):
            tree[str(name)] = value
        elif name == "edges":
            tree[name] = [(str(source), str(target)) for source, target in cast("list[tuple[str, str]]", value)]
        elif value is not None:
            with contextlib.suppress(TypeError, ValueError):  # what is no number says nothing of the circuit
                tree[str(name)] = np.asarray(value, dtype=np.float64)
    return tree


def _graph(tree: Tree, where: str) -> Graph:
    """A graph without subgraphs; those of ``tree`` are resolved, their nodes named after them."""
    nodes, edges = dict[str, Node](), list[tuple[str, str]]()
    _collect(tree, "", nodes, edges, where)
    metadata = tree.get("metadata")
    dt = metadata.get("dt") if isinstance(metadata, dict) else None
    if dt is not None and not (isinstance(dt, np.ndarray) and dt.size == 1 and np.isfinite(dt) and dt > 0):
        raise ModelFileError("metadata['dt'] is no length of a step", where=where, accepted="seconds")
    # An edge that is listed twice is one edge, as for other readers of NIR.
    return Graph(nodes, list(dict.fromkeys(edges)), None if dt is None else float(dt.item()))


def _collect(tree: Tree, prefix: str, nodes: dict[str, Node], edges: list[tuple[str, str]], where: str) -> None:
    held, linked = tree.get("nodes"), tree.get("edges", [])
    if not isinstance(held, dict) or not isinstance(linked, list):
        raise ModelFileError("a graph without nodes or edges", where=where, accepted="a NIRGraph")
    ends = dict[str, tuple[str, str]]()
    for name, node in held.items():
        kind = node.get("type") if isinstance(node, dict) else None
        if not isinstance(node, dict) or not isinstance(kind, str):
            raise ModelFileError(f"the node {shown(name)} has no type", where=where)
        full = f"{prefix}{name}"
        ends[name] = full, full
        if kind == "NIRGraph":
            _collect(node, f"{full}.", nodes, edges, where)
            ends[name] = _ends(node, f"{full}.", where)
        else:
            # Ports of subgraphs hand on what they get.
            inner = bool(prefix) and kind in ("Input", "Output")
            values = {each: value for each, value in node.items() if isinstance(value, np.ndarray | str)}
            nodes[full] = Node("Port" if inner else kind, values)
    for source, target in linked:
        if missing := [end for end in (source, target) if end not in ends]:
            raise ModelFileError(f"an edge of the node {shown(missing[0])}, which is not there", where=where)
        edges.append((ends[source][1], ends[target][0]))


def _ends(tree: Tree, prefix: str, where: str) -> tuple[str, str]:
    """The one input and the one output of a subgraph."""
    ends = []
    for wanted in ("Input", "Output"):
        held = tree["nodes"]
        assert isinstance(held, dict)
        names = [name for name, node in held.items() if isinstance(node, dict) and node.get("type") == wanted]
        if len(names) != 1:
            raise ModelFileError(f"a subgraph with {len(names)} nodes {wanted}", where=where, accepted="one")
        ends.append(f"{prefix}{names[0]}")
    return ends[0], ends[1]
