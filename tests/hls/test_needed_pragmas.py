"""Pragmas that must not be missing: a rule book says where one may stand, not where a tool cannot do without it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

import pytest

from bitsmith.hls import HlsTarget, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.headers import kernel
from tests.hls.named_networks import named_networks
from tests.hls.test_structure import folded

AT_BUSES = ("axi.h", "axi_tokens.h", "axi_memory.h")
WHOLE_ARRAYS = (*AT_BUSES, "words.h", "decimal.h")
"""Headers of processes that are given arrays as they are, and of the test bench."""

FUNCTION = re.compile(r"^ *(?:template <.*> )?[\w:<> ]+ [&*]*(\w+)\(([^;{}]*)\)(?: const)? \{\n(.*)\n", re.MULTILINE)
INLINE = "BITSMITH_INLINE"
ARRAY = re.compile(r"\w\[")
PACKED = r"(?:BITSMITH_RESULT\({0}\)|#pragma HLS DATA_PACK variable={0})\n"
LOCAL = re.compile(r"^ +(?! *return )[\w:<>, ().]+ (\w+);\n(.*\n)", re.MULTILINE)


def headers(dialect: str) -> Mapping[str, str]:
    found = {path.rpartition("/")[2]: text for path, text in folded(dialect).files.items() if "/bitsmith/" in path}
    return found | {name: kernel(name) for name in AT_BUSES}


def not_inlined(name: str, text: str) -> list[str]:
    """Functions that are given arrays, or parts of them, and do not say first of all that they are inlined."""
    given = ((match[1], match[2], match[3].strip()) for match in FUNCTION.finditer(text))
    return [
        f"{name}: {function}" for function, parameters, first in given if ARRAY.search(parameters) and first != INLINE
    ]


def test_what_gets_parts_of_arrays_is_inlined() -> None:
    texts = {name: text for name, text in headers("vitis").items() if name not in WHOLE_ARRAYS}
    functions = [match[1] for text in texts.values() for match in FUNCTION.finditer(text)]
    assert {"copy", "linear", "push", "push_rows", "table"} <= set(functions)
    assert not [problem for name, text in texts.items() for problem in not_inlined(name, text)]
    assert [name for name, text in texts.items() if not_inlined(name, text.replace(INLINE, "", 1))]
    for dialect in ("vitis", "vivado"):
        assert f'#define {INLINE} _Pragma("HLS INLINE")' in headers(dialect)["kernels.h"]


def not_packed(name: str, text: str) -> Iterator[str]:
    """Local tokens whose elements are set one by one, and that are not one word from their declaration on."""
    starts = [0, *(match.start() for match in FUNCTION.finditer(text)), len(text)]
    for start, end in itertools.pairwise(starts):
        for local in LOCAL.finditer(text, start, end):
            is_token = re.search(rf"\b{local[1]}\.data\b", text[start:end])
            if is_token and not re.fullmatch(PACKED.format(local[1]), local[2].lstrip()):
                yield f"{name}: {local[1]}"


def test_tokens_of_vivado_hls_are_words() -> None:
    """Arrays of more than four elements are memories there, those in structures too."""
    files = {**folded("vivado").files, **headers("vivado")}
    texts = {name: text for name, text in files.items() if name.endswith((".cpp", ".h")) and "test" not in name}
    assert not [problem for name, text in texts.items() for problem in not_packed(name, text)]
    without = {name: re.sub(PACKED.format(r"\w+"), "\n", text) for name, text in texts.items()}
    found = {problem for name, text in without.items() for problem in not_packed(name, text)}
    assert {"firmware/net.cpp: item", "firmware/net.cpp: window", "axi_tokens.h: item", "stream_token.h: part"} <= found
    assert "BITSMITH_RESULT(name) BITSMITH_PRAGMA(HLS DATA_PACK variable=name)" in files["kernels.h"]


@pytest.mark.parametrize("marked", ['_Pragma("{}")', "#pragma {}\n"])
def test_pipelines_of_catapult_hand_on_what_is_in_them(marked: str) -> None:
    texts = "\n".join(text for path, text in folded("catapult").files.items() if path.startswith("firmware/"))
    interval = re.escape(marked).replace(r"\{\}", "hls_pipeline_init_interval [0-9A-Z]+")
    pipelines = re.findall(rf"{interval}\s*(.*)", texts)
    assert pipelines and all("hls_stall_mode flush" in after for after in pipelines)


@pytest.mark.parametrize("dialect", ["vitis", "vivado", "libero"])
def test_nothing_is_said_of_single_elements(dialect: str) -> None:
    program, directives = named_networks()["attention_io_parallel"]
    text = write_project(program, directives, DIALECTS[dialect], HlsTarget("net", "part")).files["firmware/net.cpp"]
    locals_ = re.findall(r"^ +[\w:]+ (\w+)\[(\d+)\];$", text, re.MULTILINE)
    single, several = ({name for name, size in locals_ if (size == "1") == one} for one in (True, False))
    named = set(re.findall(r"variable[=(](\w+)", text))
    assert single - several and named & several and not named & (single - several)
