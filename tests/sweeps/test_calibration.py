"""Corrections of estimates: what recorded sweeps say, which files and numbers are rejected, and what estimates become."""

from __future__ import annotations

import json
import random
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import bitsmith
from bitsmith.cli.commands import app
from bitsmith.errors import BitsmithError, ConfigError, InputDataError
from bitsmith.options.estimates import read_correction
from bitsmith.sweeps.calibration import calibrated, save
from bitsmith.sweeps.sweep import sweep

MODEL = Path(str(resources.files("bitsmith"))) / "data" / "models" / "digits.keras"
pytestmark = pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")

_RIGHT = {
    "family": "ecp5",
    "lut": {"factor": 1.5, "median": 0.02, "worst": 0.2, "circuits": 12},
    "ff": {"factor": 0.5, "median": 0.01, "worst": 0.1, "circuits": 12},
}


def _trial(name: object, lut: tuple[object, object], family: str = "ecp5", **more: object) -> dict[str, object]:
    figures = {"estimate": {"lut": lut[0], "ff": 100}, "measured": {"lut": lut[1], "ff": 200}}
    return {"trial": name, "family": family, "corrected": False, **figures, **more}


def _sweep(folder: Path, *trials: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps({"trials": trials}), encoding="utf-8")
    return folder


def test_the_factor_and_errors_of_circuits_that_it_does_not_come_from(tmp_path: Path) -> None:
    """Against numpy's medians, on random figures; the file is read back as it was."""
    rng = random.Random(5)
    pairs = [(rng.randint(500, 9000), rng.randint(500, 9000)) for _ in range(11)]
    first = _sweep(tmp_path / "a", *(_trial(f"{k}", pair) for k, pair in enumerate(pairs[:6])))
    second = _sweep(tmp_path / "b", *(_trial(f"{k + 5}", pair) for k, pair in enumerate(pairs[5:])))
    found = calibrated([first, second / "sweep.json"])
    expected, measured = np.array(pairs, float).T
    ratios = measured / expected
    off = [abs(np.median(np.delete(ratios, k)) * expected[k] - measured[k]) / measured[k] for k in range(len(pairs))]
    assert found.family == "ecp5"
    assert found.lut.factor == pytest.approx(np.median(ratios), abs=1e-4)
    assert (found.lut.median, found.lut.worst) == pytest.approx((np.median(off), max(off)), abs=1e-4)
    assert found.lut.circuits == len(pairs) and (found.ff.factor, found.ff.worst) == (2.0, 0.0)
    save(found, tmp_path / "ecp5.json")
    assert read_correction(tmp_path / "ecp5.json", "x") == read_correction(str(found), "x") == found


def test_circuits_that_were_routed_say_which_clock_others_reach(tmp_path: Path) -> None:
    """Against numpy's median; of four circuits nothing follows."""
    reached = [110.0, 125.0, 90.0, 100.0, 130.0]
    trials = [_trial(f"{k}", (100, 110)) for k in range(7)]
    for trial, mhz in zip(trials, reached, strict=False):
        trial["estimate"]["fmax"], trial["measured"]["fmax"] = 100.0, mhz  # type: ignore[index]
    found = calibrated([_sweep(tmp_path / "s", *trials)])
    assert found.fmax is not None and found.lut.circuits == 7
    assert (found.fmax.factor, found.fmax.circuits) == (np.median(reached) / 100, 5)
    assert calibrated([_sweep(tmp_path / "few", *trials[1:])]).fmax is None
    save(found, tmp_path / "ecp5.json")
    model = bitsmith.convert(MODEL, tmp_path / "m", bits=4, clock_period=20.0, estimates=tmp_path / "ecp5.json")
    assert model.target.estimates == found
    plain = bitsmith.convert(MODEL, tmp_path / "n", bits=4, clock_period=20.0).estimate()
    assert plain.fmax_mhz > 50.0
    assert model.estimate().fmax_mhz == pytest.approx(plain.fmax_mhz * found.fmax.factor)
    assert "Fmax, 1.1 of the clock, 17.5 % off in the median of 5 circuits, 30.6 % at worst" in str(model.estimate())


def test_the_clock_of_a_family_that_was_not_routed_is_that_of_the_target(tmp_path: Path) -> None:
    model = bitsmith.convert(MODEL, tmp_path, bits=4, clock_period=20.0, part="xcku5p-ffvb676-2-e")
    assert model.estimate().fmax_mhz == 50.0


def test_errors_of_few_cells_count_little(tmp_path: Path) -> None:
    trials = [_trial(f"{k}", (100, 100)) for k in range(6)] + [_trial("small", (5, 1))]
    assert calibrated([_sweep(tmp_path, *trials)]).lut.worst == pytest.approx(4 / 20)


def test_trials_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    """Failed ones, those of estimates alone, of corrected estimates, and damaged figures; five others are enough."""
    nothing = [
        {"trial": "a", "error": "no such part"},
        _trial("b", (100, 1), corrected=True),
        {**_trial("c", (100, 1)), "measured": {}},
        {**_trial("d", (100, 1)), "estimate": "many"},
        *(_trial(f"e{k}", pair) for k, pair in enumerate([(0, 5), (5, -1), (True, 5), ("5", 5), (float("nan"), 5)])),
        *(_trial(f"f{k}", pair) for k, pair in enumerate([(float("inf"), 5), (10**400, 5), (None, 5)])),
        _trial(["g"], (100, 1)),
        {**_trial("h", (100, 1)), "family": 3},
    ]
    right = [_trial(f"r{k}", (100, 120)) for k in range(5)]
    found = calibrated([_sweep(tmp_path, *nothing, *right)])
    assert (found.lut.factor, found.lut.circuits) == (1.2, 5)
    with pytest.raises(InputDataError, match="4 circuits"):
        calibrated([_sweep(tmp_path, *nothing, *right[1:])])


def test_families_are_not_mixed(tmp_path: Path) -> None:
    trials = [_trial(f"{k}", (100, 110)) for k in range(5)] + [_trial(f"x{k}", (100, 90), "xcup") for k in range(5)]
    folder = _sweep(tmp_path, *trials)
    with pytest.raises(ConfigError, match=r"ecp5, xcup"):
        calibrated([folder])
    assert calibrated([folder], "xcup").lut.factor == 0.9
    with pytest.raises(InputDataError, match="0 circuits of the family nexus"):
        calibrated([folder], "nexus")


def test_estimates_that_are_off_by_a_multiple_are_no_calibration(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"0\.01 times"):
        calibrated([_sweep(tmp_path, *(_trial(f"{k}", (1000, 10)) for k in range(5)))])


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"trials": 5}', b'{"trials": [3]}', b"\xff\xfe", b"[" * 99999])
def test_files_that_are_no_sweeps_are_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sweep.json"
    path.write_bytes(content)
    with pytest.raises(InputDataError, match=r"sweep\.json"):
        calibrated([path])
    with pytest.raises(InputDataError, match="nothing"):
        calibrated([tmp_path / "nothing"])


@pytest.mark.parametrize(
    "changed",
    [
        {"family": "ecp6"},
        {"family": None},
        {"lut": 3},
        {"ff": {**_RIGHT["ff"], "factor": 1e9}},  # type: ignore[dict-item]
        {"ff": {**_RIGHT["ff"], "factor": float("nan")}},  # type: ignore[dict-item]
        {"ff": {**_RIGHT["ff"], "median": -0.1}},  # type: ignore[dict-item]
        {"ff": {**_RIGHT["ff"], "circuits": 1.5}},  # type: ignore[dict-item]
        {"ff": {**_RIGHT["ff"], "more": 1}},  # type: ignore[dict-item]
        {"fmax": {**_RIGHT["lut"], "factor": 0.0}},  # type: ignore[dict-item]
        {"more": 1},
    ],
)
def test_corrections_without_meaning_are_rejected(tmp_path: Path, changed: dict[str, object]) -> None:
    path, content = tmp_path / "wrong.json", {**_RIGHT, **changed}
    path.write_text(json.dumps(content), encoding="utf-8")
    for value in (content, json.dumps(content), path):
        with pytest.raises(ConfigError):
            read_correction(value, "Estimates")


@pytest.mark.parametrize("value", [3, None, "ecp5.yml", "no.json", "{", "{" * 5000, "{}", ["ecp5"]])
def test_what_is_no_correction_is_rejected(value: object) -> None:
    with pytest.raises(ConfigError, match=r"Estimates|no\.json"):
        read_correction(value, "Estimates")


def test_estimates_follow_what_was_measured(tmp_path: Path) -> None:
    """Exact and rough figures, unrolled and in tokens, whole and by layer; the circuit is the same, and so is a saved model."""
    for more in ({}, {"io_type": "io_stream", "reuse_factor": 16}):
        before = bitsmith.convert(MODEL, tmp_path / "a", bits=4, **more)  # type: ignore[arg-type]
        after = bitsmith.convert(MODEL, tmp_path / "b", bits=4, estimates=_RIGHT, **more)  # type: ignore[arg-type]
        for rough in (False, True):
            expected, found = before.estimate(rough=rough), after.estimate(rough=rough)
            assert found.size.lut == round(1.5 * expected.size.lut)
            assert found.size.ff == round(0.5 * expected.size.ff)
            assert (found.size.dsp, found.interval) == (expected.size.dsp, expected.interval)
            assert found.size.layers == pytest.approx({name: 1.5 * luts for name, luts in expected.size.layers.items()})
        assert "LUT 2 % off in the median of 12 circuits, 20 % at worst" in str(found)
        assert "median" not in str(expected)
        assert after.program == before.program
    path = tmp_path / "model.bitsmith"
    after.save(path)
    assert bitsmith.converters.load_saved_model(path).estimate().size == after.estimate().size


def test_a_correction_is_of_one_family(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ecp5, for iCE40UP5K-SG48, which is of ice40up"):
        bitsmith.convert(MODEL, tmp_path, bits=4, part="iCE40UP5K-SG48", estimates=_RIGHT)


def test_the_command_writes_what_conversions_take(tmp_path: Path) -> None:
    folder = _sweep(tmp_path / "s", *(_trial(f"{k}", (100, 110 + k)) for k in range(7)))
    out = tmp_path / "ecp5.json"
    done = CliRunner().invoke(app, ["calibrate", str(folder), "-o", str(out), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["lut"]["factor"] == 1.13
    project = tmp_path / "project.yml"
    project.write_text(
        f"KerasModel: {MODEL}\nEstimates: ecp5.json\nHLSConfig: {{Model: {{Bits: 4}}}}\n", encoding="utf-8"
    )
    assert bitsmith.converters.convert_from_config(project).target.estimates == read_correction(out, "x")
    wrong = CliRunner().invoke(app, ["calibrate", str(folder), "-o", str(tmp_path / "ecp5.yml")])
    assert wrong.exit_code == 1 and not (tmp_path / "ecp5.yml").exists()


@pytest.mark.slow
@pytest.mark.ci
def test_sweeps_say_of_which_family_circuits_are(tmp_path: Path) -> None:
    """And whether their estimates were corrected; workers need no file for it."""
    path = tmp_path / "ecp5.json"
    save(read_correction(_RIGHT, "x"), path)
    found = sweep(MODEL, {"bits": [4]}, tmp_path / "s", estimates=path, build=False, workers=1)
    (only,) = found.outcomes
    assert (only.found["family"], only.found["corrected"]) == ("ecp5", True)
    assert found.model(only).target.estimates == read_correction(path, "x")
    with pytest.raises(BitsmithError, match="0 circuits"):
        calibrated([tmp_path / "s"])


@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_the_page_has_what_the_recorded_sweep_says(family: str) -> None:
    root = Path(__file__).parents[2]
    found = calibrated([root / "benchmarks" / "sweeps" / f"{family}.json"])
    figures = [
        f"{each.factor:.3f}, {100 * each.median:.1f} %, {100 * each.worst:.1f} %"
        for each in (found.lut, found.ff, found.fmax)
        if each is not None
    ]
    row = f"{family}.json` | {' | '.join(figures)} |"
    assert row in (root / "docs" / "sweep.md").read_text(encoding="utf-8")
