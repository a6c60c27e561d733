"""Remedies in the words of the command line.

Errors speak of Python calls: ``build(force=True)``, ``pass calibration=X``. Whoever typed a command reads its options instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

_COMMANDS = {"build": "bitsmith build DIR", "convert": "bitsmith convert FILE", "predict": "bitsmith predict"}
_CALL = re.compile(r"\b(build|convert|predict)\(((?:[^()]|\([^()]*\))*)\)")
_KEYWORDS = {
    "output_dir": "--output-dir",
    "calibration": "--calibration",
    "input_data_tb": "--input-data",
    "project_name": "--project-name",
    "clock_period": "--clock-period",
    "clock_uncertainty": "--clock-uncertainty",
    "io_type": "--io-type",
    "input_shape": "--input-shape",
    "allow_approximate": "--allow-approximate",
    **{
        name: f"--{name}"
        for name in (
            *("weights", "config", "bits", "part", "board", "backend", "check", "strict", "override", "outliers"),
            *(
                "rounding",
                "fit",
                "force",
                "reset",
                "synth",
                "cosim",
                "csim",
                "export",
                "vsynth",
                "pnr",
                "bitstream",
                "tool",
            ),
        )
    },
}
"""Options of the same meaning as arguments."""

_FLAGS = frozenset({"synth", "cosim", "csim", "check"})
"""Options that have a negative form."""

_FILES = {"calibration": "FILE.npy", "weights": "FILE"}
"""Values that are files on the command line."""

_ASSIGNED = re.compile(rf"\b({'|'.join(_KEYWORDS)})=('[^']*'|\"[^\"]*\"|\{{.*?\}}(?=[,;)\n]|$)|[\w.%+-]+|\.\.\.)")
_CONFIG = re.compile(r"\bconfig=(\{.*\})")


def commanded(text: str) -> str:
    """``text`` with options and commands in place of arguments and calls."""
    text = _CALL.sub(lambda call: _command(call[1], call[2]), text)
    text = _CONFIG.sub(lambda found: _settings(found[1]), text)
    text = re.sub(r"\bpass (?=\w+=)", "give ", text.replace("another output_dir", "another --output-dir"))
    return _ASSIGNED.sub(lambda found: _option(found[1], found[2]), text)


def _command(name: str, arguments: str) -> str:
    given = [part for part in (part.strip() for part in arguments.split(", ")) if part not in ("", "...")]
    return " ".join(
        (_COMMANDS[name], *(_ASSIGNED.sub(lambda found: _option(found[1], found[2]), part) for part in given))
    )


def _option(name: str, value: str) -> str:
    option = _KEYWORDS[name]
    if value == "True":
        return option
    if value == "False":
        return option.replace("--", "--no-", 1) if name in _FLAGS else f"no {option}"
    if value == "None":
        return f"no {option}"
    plain = value.strip("'")
    return f"{option} {_FILES.get(name, plain)}"


def _settings(document: str) -> str:
    """A configuration as options."""
    try:
        content = json.loads(document)
    except ValueError:
        return f"--config FILE with {document}"
    return " ".join(f"--set {path}={value}" for path, value in _leaves(content))


def _leaves(content: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
