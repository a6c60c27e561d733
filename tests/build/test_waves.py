"""Waveforms of the co-simulation, as a viewer reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.config.values import BackendName, IOTypeName
from bitsmith.errors import ConfigError
from tests.any_models import proto


def values(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The times of a value change dump (IEEE 1800, 21.7), and the bits of each signal then, by its name with scopes."""
    names: dict[str, list[str]] = {}
    scopes: list[str] = []
    lines = iter(path.read_text().splitlines())
    for line in lines:
        match line.split():
            case ["$scope", _, name, "$end"]:
                scopes.append(name)
            case ["$upscope", "$end"]:
                scopes.pop()
            case ["$var", _, _, code, name, *_]:
                names.setdefault(code, []).append(".".join((*scopes, name)))
            case ["$enddefinitions", "$end"]:
                break
    now, bits = -1, dict[str, str]()
    for line in lines:
        if line.startswith("#"):
            if now >= 0:
                yield now, dict(bits)
            now = int(line[1:])
        elif match := re.fullmatch(r"b([01xz]+) (\S+)|([01xz])(\S+)", line):
            code = match[2] or match[4]
            bits |= dict.fromkeys(names[code], match[1] or match[3])
    yield now, dict(bits)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_waves_show_layers_and_the_results_of_the_first_samples(io_type: IOTypeName, tmp_path: Path) -> None:
    model = bitsmith.convert(proto(), tmp_path, {"Model": {"Precision": "fixed<8,3>"}}, io_type=io_type, check=False)
    report = model.build(synth=False, trace=True)
    files, verification = report.section("Files"), report.section("Verification")
    assert files is not None and files["Waveforms"] == "cosim/waves.vcd" and verification is not None

    shown = list(values(tmp_path / "cosim" / "waves.vcd"))
    assert [time for time, _ in shown[:4]] == [0, 5000, 10000, 15000] and len(shown) > 1000
    assert any("fc" in name for name in shown[0][1])
    low = [bits for _, bits in shown if bits["TOP.clk"] == "0"]
    results = [
        int(bits["TOP.out_data"], 2)
        for bits in low
        if bits["TOP.rst"] == "0" and bits["TOP.out_valid"] == "1" and bits.get("TOP.out_ready", "1") == "1"
    ]
    words = np.fromfile(tmp_path / "cosim" / "responses.bin", "<u4").reshape(int(str(verification["Inputs"])), -1)
    expected = [sum(int(word) << (32 * k) for k, word in enumerate(row)) for row in words]
    assert results[:500] == expected[:500] and len(set(results)) > 100


def test_waves_are_asked_for(tmp_path: Path) -> None:
    def converted(backend: BackendName) -> bitsmith.Model:
        return bitsmith.convert(
            proto(), tmp_path / backend, {"Model": {"Precision": "fixed<8,3>"}}, backend=backend, check=False
        )

    assert "waves.vcd" not in str(converted("rtl").plan(synth=False))
    assert "--trace-vcd" in str(converted("rtl").plan(synth=False, trace=True))
    with pytest.raises(ConfigError, match="trace=True with backend 'vitis'"):
        converted("vitis").build(trace=True)
