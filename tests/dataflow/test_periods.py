"""Schedules of what comes again and again: guesses give the cycles of arrays of all actions, in a time that steps do not set."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bitsmith.dataflow import advance, kinds
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.processes import Network
from bitsmith.dataflow.schedule import schedule
from bitsmith.layers.recurrent import GRU
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.dataflow.dense_schedule import dense_schedule
from tests.dataflow.test_schedule import small
from tests.mapping.test_recurrence import cell
from tests.properties import few


def recurrence(steps: int, reuse: int = 12) -> tuple[Network, dict[int, int]]:
    """A cell whose states go round, and latencies of its pipelines."""
    program = drop_dead(cell(GRU, 3, steps=steps), keep_probes=False)
    network = partition(program, Directives({"layer": reuse}, parallel=False))
    pipelined = (kinds.Map, kinds.FoldedProduct)
    latencies = {k: 2 + k % 7 for k, p in enumerate(network.processes) if isinstance(p.kind, pipelined)}
    return network, latencies


def guesses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Cycles that each guess settles, from now on."""
    again, settled = advance._again, list[int]()

    def counted(tracks: Sequence[advance._Track], begin: int, period: int, alike: Sequence[bool]) -> int:
        until = again(tracks, begin, period, alike)
        settled.append(until - begin)
        return until

    monkeypatch.setattr(advance, "_again", counted)
    return settled


@few("seeds", [[641, 660, 692], range(638, 670), range(670, 700), range(700, 740)], fast=1)
def test_guesses_of_any_worth_change_no_schedule(monkeypatch: pytest.MonkeyPatch, seeds: Sequence[int]) -> None:
    monkeypatch.setattr(advance, "_PATIENCE", 0)
    monkeypatch.setattr(advance, "_PAUSE", 0)
    monkeypatch.setattr(advance, "_WORTH", 0)
    monkeypatch.setattr(advance, "_TIMES", 2)
    settled = guesses(monkeypatch)
    for seed in seeds:
        found, wanted = schedule(*small(seed)), dense_schedule(*small(seed))
        assert (found, found.frames) == (wanted, wanted.frames)
    assert any(settled) and not all(settled)


@few("steps, reuse", [(9, 36), (14, 12), (24, 36), (40, 12)], fast=0, judged=True)
def test_steps_of_a_recurrence(monkeypatch: pytest.MonkeyPatch, steps: int, reuse: int) -> None:
    settled = guesses(monkeypatch)
    found, wanted = schedule(*recurrence(steps, reuse)), dense_schedule(*recurrence(steps, reuse))
    assert (found, found.frames) == (wanted, wanted.frames)
    assert any(settled)


@pytest.mark.slow
@pytest.mark.ci
def test_raises_do_not_follow_the_steps_of_a_recurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    settle, raises = advance._settle, [0, 0]

    def counted(tracks: Sequence[advance._Track], active: Sequence[int], end: int) -> int:
        raises[-1] += (found := settle(tracks, active, end))
        return found

    monkeypatch.setattr(advance, "_settle", counted)
    for place, steps in enumerate((32, 256)):
        raises[place:] = [0]
        schedule(*recurrence(steps))
    assert 0 < raises[1] < 1.25 * raises[0]


def test_a_guess_ends_at_the_first_time_that_is_another_one() -> None:
    guess = Polyline.of([3, 5, 7, 9])
    for least, until in (
        ([3, 5, 7, 9], 20),
        ([2, 5, 7, 9], 2),
        ([4, 6, 8, 10], 3),
        ([3, 5, 8, 9], 7),
        ([3, 5, 6, 9], 6),
        ([3, 5], 7),
        ([3, 5, 7, 9, 12], 12),
        ([3, 5, 7, 9, 11], 11),
    ):
        assert advance._first_other(guess, Polyline.of(least), 20) == until
    assert advance._first_other(guess, None, 20) == advance._first_other(None, guess, 20) == 3
    assert advance._first_other(None, None, 20) == 20
