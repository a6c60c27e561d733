"""Remedies that errors give for Python, in the words of the command line."""

from __future__ import annotations

import pytest

from bitsmith.cli.wording import commanded


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        ("pass calibration=X, or give it a precision", "give --calibration FILE.npy, or give it a precision"),
        ("build(synth=False) verifies it", "bitsmith build DIR --no-synth verifies it"),
        ("or build(force=True)", "or bitsmith build DIR --force"),
        ("convert(..., fit=True) takes the first", "bitsmith convert FILE --fit takes the first"),
        ("predict() gives the same numbers", "bitsmith predict gives the same numbers"),
        ("remove it, or pass override=True to insist", "remove it, or give --override to insist"),
        ("part='LFE5U-85F', or pnr=False", "--part LFE5U-85F, or no --pnr"),
        ("use another output_dir", "use another --output-dir"),
        ("check='auto'", "--check auto"),
        ('config={"Model": {"Bits": 8}}', "--set Model.Bits=8"),
        (
            'config={"LayerName": {"a": {"ReuseFactor": 4}}}, io_type=\'io_stream\'',
            "--set LayerName.a.ReuseFactor=4, --io-type io_stream",
        ),
        ("give the result a format", "give the result a format"),
    ],
)
def test_wording(python: str, shell: str) -> None:
    assert commanded(python) == shell
