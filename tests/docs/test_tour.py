"""The tour is what the code prints, and what it shows as text means the same when it is read back."""

import re
from pathlib import Path

import numpy as np

from bitsmith.emulate import Emulator
from bitsmith.ir.text import parse as parse_program
from generate.tour import page
from tests.dataflow.execute import execute
from tests.dataflow.reading import parse as parse_dataflow
from tests.netlist.checks import compiled
from tests.netlist.evaluate import evaluate as evaluate_netlist
from tests.netlist.reading import parse as parse_netlist

PAGE = Path(__file__).parents[2] / "docs" / "tour.md"
RAW = [12, -2, 6]


def _text(heading: str) -> str:
    found = re.search(
        rf"^## \d\. {heading}\n.*?^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return re.sub(r"\n {4,}(?=\S)", " ", found[1])  # lines that were broken


@compiled
def test_page_is_what_the_code_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "renew it: make docs"


def test_all_levels_compute_the_same() -> None:
    (wanted,) = Emulator(parse_program(_text("The program"))).run_raw([np.array([RAW])])
    assert evaluate_netlist(parse_netlist(_text("The netlist")), RAW) == wanted[0].tolist()
    (tokens,) = execute(parse_dataflow(_text("Or a network of processes")), [np.array(RAW, dtype=np.object_)])
    assert tokens.ravel().tolist() == wanted[0].tolist()
