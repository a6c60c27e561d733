"""Corrections of a family's estimates from recorded sweeps.

In: documents of sweeps (``sweep.json``), which nobody has to trust. Out: factors of areas, and the errors that are left. The
factor is the median of what was measured per estimate, which makes the median error least and does not follow single circuits.
The error of a circuit is that with the factor of all others.
"""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bitsmith.base.files import open_file
from bitsmith.base.project import Json, write_atomically
from bitsmith.devices.correction import Correction, Measured
from bitsmith.errors import ConfigError, InputDataError
from bitsmith.options.estimates import LEAST_FACTOR, MOST_FACTOR
from bitsmith.sweeps.results import DOCUMENT, Outcome

LEAST_CIRCUITS = 5
"""Fewest circuits that say something of others."""

_FEW = 20.0
"""Shares of fewer cells say little: errors count as shares of this many."""

_MOST_BYTES = 1 << 26
_MOST_CELLS = 1e9
_COUNTED = ("lut", "ff")
_ACCEPTED = f"the {DOCUMENT} of a sweep that built its circuits, or its folder"


def calibrated(paths: Sequence[Path], family: str | None = None) -> Correction:
    """The correction of a family's estimates by the circuits of recorded sweeps; each trial counts once.

    Args:
        paths: documents of sweeps, or their folders.
        family: its name; None: that of all circuits.

    Raises:
        InputDataError: files that are no sweeps, too few circuits, or estimates that are off by a multiple.
        ConfigError: circuits of several families, or none of ``family``.
    """
    outcomes = {outcome.name: outcome for path in paths for outcome in _circuits(path)}
    families = sorted({str(outcome.found["family"]) for outcome in outcomes.values()})
    chosen = family or (families[0] if len(families) == 1 else None)
    if chosen is None and families:
        raise ConfigError(f"circuits of {', '.join(families)}", where="family", accepted="the name of one of them")
    of_family = [outcome for outcome in outcomes.values() if outcome.found["family"] == chosen]
    if len(of_family) < LEAST_CIRCUITS:
        raise InputDataError(
            f"{len(of_family)} circuits{f' of the family {chosen}' if chosen else ''} with estimates and counts",
            where=", ".join(map(str, paths)),
            accepted=f"{LEAST_CIRCUITS} or more, of a sweep that synthesizes them, without the option estimates",
        )
    assert chosen is not None
    pairs = {
        name: [(each.estimate[name], each.measured[name]) for each in of_family if _known(each, name)]
        for name in (*_COUNTED, "fmax")
    }
    lut, ff = (_measured(pairs[name], name) for name in _COUNTED)
    return Correction(
        chosen, lut, ff, _measured(pairs["fmax"], "fmax") if len(pairs["fmax"]) >= LEAST_CIRCUITS else None
    )


def save(correction: Correction, path: Path) -> None:
    """Write the file that the option ``estimates`` of conversions takes.

    Raises:
        ConfigError: a name that it does not take.
        ProjectError: it cannot be written.
    """
    if path.suffix.lower() != ".json":
        raise ConfigError(str(path), where="output", accepted="a name that ends in .json")
    text = json.dumps(json.loads(str(correction)), indent=1) + "\n"
    write_atomically(path, text.encode())


def _measured(pairs: Sequence[tuple[float, float]], name: str) -> Measured:
    """The factor of a figure, and the errors of each circuit with the factor of all others."""
    ratios = [measured / expected for expected, measured in pairs]
    factor = statistics.median(ratios)
    if not LEAST_FACTOR <= factor <= MOST_FACTOR:
        raise InputDataError(
            f"{name} that is {factor:.3g} times what was expected",
            where="calibrate",
            accepted=f"{LEAST_FACTOR:g} to {MOST_FACTOR:g} times",
            remedy="look at the reports of the builds: synthesis may have taken the circuit away",
        )
    off = []
    for left_out, (expected, measured) in enumerate(pairs):
        others = statistics.median(ratios[:left_out] + ratios[left_out + 1 :])
        off.append(abs(others * expected - measured) / max(measured, _FEW))
    return Measured(round(factor, 4), round(statistics.median(off), 4), round(max(off), 4), len(off))


def _circuits(path: Path) -> Iterator[Outcome]:
    """The circuits of a sweep whose areas were expected, uncorrected, and counted; some were routed, too."""
    for trial in _trials(path / DOCUMENT if path.is_dir() else path):
        outcome = Outcome.of(str(trial.get("trial")), {}, trial)
        names = all(isinstance(trial.get(key), str) for key in ("trial", "family"))
        if names and all(_known(outcome, name) for name in _COUNTED) and not trial.get("corrected"):
            yield outcome


def _known(outcome: Outcome, name: str) -> bool:
    """True if a figure was expected and measured."""
    return all(0 < figures.get(name, 0.0) <= _MOST_CELLS for figures in (outcome.estimate, outcome.measured))


def _trials(path: Path) -> list[Mapping[str, Json]]:
    """The trials in the document of a sweep.

    Raises:
        InputDataError: a file that cannot be read, or that is another.
    """
    try:
        with open_file(path) as file:
            raw = file.read(_MOST_BYTES + 1)
        content: Json = json.loads(raw) if len(raw) <= _MOST_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise InputDataError(f"not readable ({error})", where=str(path), accepted=_ACCEPTED) from error
    trials = content.get("trials") if isinstance(content, Mapping) else None
    if not isinstance(trials, list) or not all(isinstance(trial, Mapping) for trial in trials):
        raise InputDataError("no trials of a sweep", where=str(path), accepted=_ACCEPTED)
    return [trial for trial in trials if isinstance(trial, Mapping)]
