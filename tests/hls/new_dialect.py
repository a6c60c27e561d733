"""A dialect that no one has, as the file of :data:`DIALECT` in ``bitsmith.hls.dialects``; see ``test_new_dialect.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bitsmith.hls.dialects.dialect import Call, Driver, Way
from bitsmith.hls.dialects.libero import DIALECT as LIBERO
from bitsmith.hls.project import Stage
from bitsmith.vendors.figures import Reports, Section


def _calls(top: str) -> Mapping[Stage, tuple[Call, ...]]:
    return {Stage.SYNTH: (Call(("newhls", top)),)}


def _figures(folder: Path, period_ns: float | None) -> dict[str, Section]:
    return {"Latency": {"Cycles": int((folder / "new.rpt").read_text(encoding="utf-8")), "Tool": "New HLS"}}


DIALECT = replace(
    LIBERO,
    name="newhls",  # type: ignore[arg-type]  # the test adds it to the list
    part="N1000",
    period_ns=7.0,
    streams=replace(LIBERO.streams, before_loop='_Pragma("NEW steps({interval})")'),
    reports=Reports(("new.rpt",), _figures),
    driver=Driver("New HLS", (Way(("newhls",), _calls),), "install New HLS", "^E "),
)
