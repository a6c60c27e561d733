"""Names in generated code are legal, unique and made of the user's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.rtl.names import KEYWORDS, Names, identifier
from tests.rtl.wrapped import made


@given(st.text(max_size=80))
def test_any_text_becomes_an_identifier(text: str) -> None:
    name = identifier(text)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and len(name) <= 66 and name not in KEYWORDS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fc1", "fc1"),
        ("block/conv 2d", "block_conv_2d"),
        ("always", "always_"),
        ("1x1", "n1x1"),
        ("", "n"),
        ("x;endmodule//", "x_endmodule"),
        ("größe", "gr_e"),
    ],
)
def test_examples(text: str, name: str) -> None:
    assert identifier(text) == name


def test_names_are_given_once_and_differ_in_more_than_case() -> None:
    names = Names()
    assert [names.unique(n) for n in ("a", "A", "a", "a_2", "b")] == ["a", "A_2", "a_3", "a_2_2", "b"]


@pytest.mark.parametrize("kind", ["stream", "streams", "loads"])
def test_parts_of_a_network_are_instances_within_its_text_and_of_its_layers(kind: str) -> None:
    """Each with the layer of its instance, and with the cycles between its pipeline's input and output, if it has one."""
    design = made(kind)
    text, layers = design.sources["net.sv"], {node.layer for node in design.program.nodes} | {""}
    cores = dict(re.findall(r"^  (net_core\d+) (\w+_core) \(", text, re.MULTILINE)).items()
    modules = {instance: design.sources[f"{module}.sv"] for module, instance in cores}
    labels = dict(re.findall(r"^  // (\d+): [^()\n]*(?:\(([^)\n]*)\))?$", text, re.MULTILINE))
    plain = {name: part for name, part in design.parts.items() if "." not in name}
    assert {name: part.layer for name, part in plain.items()} == {f"p{number}": said for number, said in labels.items()}
    below = {name: part for name, part in design.parts.items() if "." in name}
    assert below and modules
    for name, part in below.items():
        core, _, instance = name.partition(".")
        assert re.search(rf"^  \w+ {instance} \(", modules[core], re.MULTILINE)
        assert part.layer in layers and instance.startswith(identifier(part.layer))
        outer = plain[core.partition("__")[0]]
        assert part.layer in outer.layer.split(", ")
        assert part.cycles is not None and outer.cycles is not None and 0 < part.cycles <= outer.cycles
    for name, part in plain.items():
        assert (part.cycles is not None) == any(core.startswith(f"{name}_") for core in modules)
