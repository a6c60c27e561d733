"""A circuit has one name in all files and commands, also where that of its project is no name of a module or function."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.build.test_plan_goldens import CASES, model

pytestmark = pytest.mark.usefixtures("programs")

NAMES = {
    "untyped": {"rtl": "untyped_", "hls": "untyped_n"},
    "MLP": {"rtl": "MLP", "hls": "MLP_n"},
    "Entity": {"rtl": "Entity", "hls": "Entity_n"},
    "quick_": {"rtl": "quick", "hls": "quick"},
}
"""What a circuit in SystemVerilog and one in C++ are called: words of the languages, a macro, an ending underscore."""
OWN = {"bitsmith": "bitsmith_net", "Bitsmith_FIFO": "Bitsmith_FIFO_net", "types": "types"}
"""Names of our modules and headers, and circuits of these names in SystemVerilog."""
ASKED = (
    *("rtl", "rtl-ulx3s", "rtl-vivado", "rtl-kv260-memory", "rtl-alveo-u250", "rtl-de10-nano"),
    *("vitis", "vitis-alveo-u250", "vitis-pynq-z2-memory", "catapult", "libero", "oneapi", "quartus"),
)
TITLES = {"bitsmith.json", "bitsmith.lock", "Makefile", "stages.mk"}
"""Files that name the project itself."""


@pytest.mark.parametrize("case", ASKED)
@pytest.mark.parametrize("name", NAMES)
def test_a_circuit_has_one_name(name: str, case: str) -> None:
    keys, asked = CASES[case]
    top = NAMES[name]["rtl" if case.startswith("rtl") else "hls"]
    plan = model({**keys, "ProjectName": name}).plan(**asked)
    files = {path: text for path, text in plan.files().items() if isinstance(text, str) and path not in TITLES}
    commands = [
        " ".join(map(str, (*command.argv, *command.outputs)))
        for stage in plan.stages
        for command in stage.flow().commands(Path("project"), stage.find())
    ]
    said = "\n".join([*files, *files.values(), *commands]).replace(f"{top}_<weights>", "")
    words = set(re.findall(rf"(?<![A-Za-z0-9_]){re.escape(name.strip('_'))}\w*", said))
    wrong = {word for word in words if not re.fullmatch(rf"({top}|{top.upper()})(_[A-Za-z0-9]\w*)?", word)}
    assert words and not wrong


@pytest.mark.parametrize("case", ["rtl", "rtl-kv260-memory", "vitis", "oneapi"])
@pytest.mark.parametrize("name", OWN)
def test_names_of_our_own_files(name: str, case: str) -> None:
    """A circuit that is called as a module or header beside it has another name."""
    keys, asked = CASES[case]
    files = model({**keys, "ProjectName": name}).plan(**asked).files()
    if case.startswith("rtl"):
        assert f"module {OWN[name]} (" in str(files[f"rtl/{OWN[name]}.sv"])
        assert f"module {OWN[name]}_axis (" in str(files[f"rtl/{OWN[name]}_axis.sv"])
    else:
        own = r"firmware/(\w+_n|Bitsmith_FIFO)\.h"
        header = next(str(text) for path, text in files.items() if re.fullmatch(own, path))
        assert '#include "types.h"' in header and "types.h" not in str(files["firmware/types.h"])
    assert len({path.lower() for path in files}) == len(files)
