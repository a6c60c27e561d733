"""Sweeps: each trial is what a conversion of the same configuration gives, and none that is finished runs again."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from concurrent.futures import Future
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import bitsmith
from bitsmith.base.project import Project
from bitsmith.cli.commands import app
from bitsmith.errors import CapacityError, ConfigError, InputDataError, ModelFileError
from bitsmith.sweeps.results import Outcome, Sweep
from bitsmith.sweeps.search import Study, configurations, objectives_of
from bitsmith.sweeps.sweep import Plan, Running, sweep
from bitsmith.sweeps.trial import LOG, RESULT, TRIALS, packed, result_of, unpacked
from bitsmith.sweeps.workers import Workers

MODEL = Path(str(resources.files("bitsmith"))) / "data" / "models" / "digits.keras"
pytestmark = pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")


def _digits() -> tuple[np.ndarray, np.ndarray]:
    x, labels = bitsmith.utils.fetch_example_data("digits.keras")
    return np.asarray(x)[:100], np.asarray(labels)[:100]


@pytest.mark.slow
@pytest.mark.ci
def test_trials_are_what_conversions_give(tmp_path: Path) -> None:
    """Estimates and scores of trials in processes of their own; a second call runs none of them."""
    x, labels = _digits()
    grid = [{"bits": 4}, {"bits": 5, "LayerName.fc1.Strategy": "resource", "part": "iCE40UP5K-SG48", "ReuseFactor": 64}]
    told: list[str] = []
    found = sweep(MODEL, grid, tmp_path / "s", None, x, (x, labels), build=False, workers=2, progress=told.append)
    assert sum("done" in line for line in told) == 2
    assert [dict(each.keys) for each in sorted(found.outcomes, key=lambda each: grid.index(dict(each.keys)))] == grid
    for each in found.outcomes:
        model = found.model(each)
        assert (each.figures["lut"], each.figures["interval"]) == (model.estimate().size.lut, model.estimate().interval)
        right = float((np.asarray(model.predict(x)).argmax(axis=1) == labels).mean())
        assert each.figures["score"] == pytest.approx(right)
    by_bits = {each.keys.get("bits"): each for each in found.outcomes}
    same = bitsmith.convert(MODEL, tmp_path / "own", calibration=x, bits=4)
    assert by_bits[4].figures["lut"] == same.estimate().size.lut
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s" / TRIALS).glob(f"*/{LOG}")}
    again = sweep(MODEL, grid, tmp_path / "s", None, x, (x, labels), build=False, workers=1, progress=told.append)
    assert [each.figures for each in again.outcomes] == [by_bits[4].figures, by_bits[5].figures]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_table_has_all_trials(tmp_path: Path) -> None:
    found = {
        "figures": {"lut": 5, "loss": 0.5},
        "estimate": {"lut": 6},
        "measured": {"lut": 5, "fmax": 9.0},
        "fits": True,
    }
    outcomes = (
        Outcome.of("a", {"bits": 4}, found),
        Outcome.of("b", {"bits": 5}, {**found, "figures": {"lut": 9, "loss": 0.1}, "measured": {"lut": 8}}),
        Outcome.of("c", {"bits": 6}, {**found, "figures": {"lut": 9, "loss": 0.2}, "measured": {}}),
        Outcome.of("d", {"bits": 7}, {**found, "fits": False, "figures": {"lut": 1, "loss": 0.0}, "measured": {}}),
        Outcome.of("e", {"part": "x"}, {"error": "no such part\n  accepted: others"}),
    )
    result = Sweep(tmp_path, outcomes, objectives_of(["lut", "loss"]), interrupted=False)
    assert all(title in str(result) for title in ("LUT", "Loss")), "of trials that failed there are no figures"
    assert [each.name for each in result.front] == ["a", "b"]
    assert result.best().name == "a"
    assert result.errors == {"lut": (pytest.approx((1 / 5 + 2 / 8) / 2), pytest.approx(2 / 8), 2)}
    rows = list(csv.DictReader(result.write().read_text(encoding="utf-8").splitlines()))
    assert [row["trial"] for row in rows] == list("abcde")
    assert [row["front"] for row in rows] == ["True", "True", "False", "False", "False"]
    assert (rows[0]["lut"], rows[0]["estimated_lut"], rows[4]["error"]) == ("5", "6", "no such part")
    document = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert [each["front"] for each in document["trials"]] == [True, True, False, False, False]
    assert "5 trials, 1 without a circuit" in str(result)
    assert "part=x: no such part" in str(result)
    (heading,) = (line.split() for line in str(result).splitlines() if line.split()[-1:] == ["Trial"])
    assert heading == ["bits", "part", "LUTs", "Loss", "Trial"]
    assert (tmp_path / "sweep.svg").read_text(encoding="utf-8").count("<title>") == 4
    assert len(re.findall('<input type="radio"', (tmp_path / "sweep.html").read_text(encoding="utf-8"))) == 4
    alone = Sweep(tmp_path, outcomes[3:], objectives_of(["lut"]), interrupted=True)
    with pytest.raises(CapacityError, match="no such part"):
        alone.best()


def test_the_page_has_layers_area_and_the_project_of_each_circuit(tmp_path: Path) -> None:
    """As a browser would read it; texts of a worker are escaped, and what is no row of a layer is left out."""
    figures = {"lut": 12_000, "ff": 5, "dsp": 6, "bram": 0, "interval": 64, "interval_ns": 640.0, "loss": 0.01}
    found = {
        "figures": figures,
        "estimate": {"lut": 11_000},
        "measured": {"lut": 12_000},
        "fits": True,
        "part": "LFE5U-25F",
        "scored": "correct",
        "score": "95 %",
        "reference": "96 %",
        "layers": [["fc1", "weight fixed<4,1>", "ufixed<6,2>", "900"], ["<u>", "", "", ""], ["short"], "none"],
    }
    for name in "ab":
        folder = tmp_path / "trials" / name
        folder.mkdir(parents=True)
        (folder / "project.yml").write_text(f"Of: {name}\n", encoding="utf-8")
    outcomes = (
        Outcome.of("a", {"bits": 4}, found),
        Outcome.of("b", {"bits": 5}, {**found, "figures": {**figures, "lut": 20_000, "loss": 0.0}, "part": "unknown"}),
    )
    Sweep(tmp_path, outcomes, objectives_of(["lut", "loss"]), interrupted=False).write()
    page = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    assert page.count("weight fixed&lt;4,1&gt;") == 2 and page.count("&lt;u&gt;") == 2 and "<u>" not in page
    assert "short" not in page and "bits 4" in page and "bits 5" in page
    assert "Score 95 %; LUTs 12,000 (expected 11,000)" in page and "the float model 96 %" in page
    assert "12,000 of 24,288" in page and "Of: a" in page and "Of: b" in page
    assert f"bitsmith convert {tmp_path}/trials/a/project.yml -o a" in page


def test_what_decides_is_the_share_of_the_variance_that_values_of_a_key_explain(tmp_path: Path) -> None:
    """Of all combinations: bits alone decide the loss, both the area, of which a part is of neither alone."""
    area, loss = {(4, "a"): 10, (4, "b"): 30, (8, "a"): 50, (8, "b"): 90}, {4: 0.2, 8: 0.1}
    outcomes = [
        Outcome.of(f"{lut}", {"bits": bits, "part": part}, {"figures": {"lut": lut, "loss": loss[bits]}, "fits": True})
        for (bits, part), lut in area.items()
    ]
    outcomes.append(Outcome.of("none", {"bits": 16, "part": "a"}, {"error": "no circuit"}))
    found = Sweep(tmp_path, tuple(outcomes), objectives_of(["lut", "loss"]), interrupted=False)
    whole = np.var([*area.values()])
    assert found.importance["bits"] == pytest.approx({"lut": np.var([20, 70]) / whole, "loss": 1.0})
    assert found.importance["part"] == pytest.approx({"lut": np.var([30, 60]) / whole, "loss": 0.0})
    assert found.document()["importance"] == found.importance
    found.write()
    page = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    for text in ("What decides", "71 %", "26 %"):
        assert text in str(found) and text in page
    alike = Sweep(tmp_path, tuple(outcomes[:2]), objectives_of(["lut", "loss"]), interrupted=False)
    assert alike.importance == {"part": {"lut": 1.0}}
    assert "What decides" not in str(alike), "one key decides all"


def test_faster_clocks_are_better() -> None:
    outcomes = tuple(
        Outcome.of(name, {}, {"figures": {"fmax": fmax, "lut": lut}, "fits": True})
        for name, fmax, lut in (("a", 100.0, 50), ("b", 90.0, 50), ("c", 120.0, 60))
    )
    assert [each.name for each in Sweep(Path(), outcomes, objectives_of(["fmax", "lut"]), interrupted=False).front] == [
        "c",
        "a",
    ]


def test_grids_are_all_combinations() -> None:
    points = [dict(point) for point in configurations({"bits": [4, 6], "part": ["a", "b"]})]
    assert points == [{"bits": bits, "part": part} for bits in (4, 6) for part in ("a", "b")]


def test_names_say_what_trials_are_made_of(tmp_path: Path) -> None:
    """Another configuration, another model and other data are other trials; the same ones have the same name."""
    other = tmp_path / "digits.keras"
    other.write_bytes(MODEL.read_bytes())

    def name(path: Path, keys: dict[str, object], *data: np.ndarray) -> str:
        plan = Plan.of({"KerasModel": str(path)}, {}, data[0] if data else None, None, {}, ["lut"])
        return plan.trial(keys).name

    one = name(MODEL, {"bits": 4})
    assert one == name(other, {"Model.Bits": 4}) == name(MODEL, {"Bits": 4})
    names = {one, name(MODEL, {"bits": 5}), name(MODEL, {"bits": 4}, np.zeros(3)), name(MODEL, {"bits": 4}, np.ones(3))}
    other.write_bytes(MODEL.read_bytes() + b" ")
    assert len({*names, name(other, {"bits": 4})}) == 5


@pytest.mark.parametrize(
    "data",
    [np.array([object()]), {"a": np.array(["x", 1], dtype=object)}, 3, ([], []), ("a", "b"), ([[1, 2], [3]],)],
    ids=["objects", "named", "number", "empty", "texts", "unequal rows"],
)
def test_data_that_are_no_numbers_do_not_travel(data: object) -> None:
    with pytest.raises(InputDataError, match="arrays of numbers"):
        packed(data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        np.arange(3.0),
        [np.arange(3.0), np.ones((2, 2))],
        (np.arange(3.0), np.array([1, 2, 3])),
        (np.arange(3.0), [1, 2, 3]),
        {"b": np.ones(2), "a": np.zeros(1)},
    ],
)
def test_data_travel_as_a_file(data: object, tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes(packed(data))  # type: ignore[arg-type]
    found = unpacked(tmp_path / "data.npz")
    assert type(found) is type(data)
    pairs = zip(found.values(), data.values(), strict=True) if isinstance(data, dict) else zip(found, data, strict=True)  # type: ignore
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert not isinstance(data, dict) or list(found) == ["b", "a"]  # type: ignore[call-overload]


def test_no_more_trials_run_than_there_are_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan.of({"KerasModel": str(MODEL)}, {}, None, None, None, ["lut"])
    most = list[int]()

    def first_ends(running: Iterable[Future[bytes]], return_when: str) -> tuple[set[Future[bytes]], set[Future[bytes]]]:
        ended, *others = running
        most.append(1 + len(others))
        ended.set_result(b'{"error": "none"}')
        return {ended}, set(others)

    monkeypatch.setattr("bitsmith.sweeps.sweep.wait", first_ends)
    search = [{"bits": bits} for bits in (4, 5, 6, 7)]
    with Project.open(tmp_path / "s", "sweep", "sweep") as project:
        run = Running(project, plan, Workers(lambda trial: Future(), lambda: 2), search)
        run.finish()
    assert (len(run.outcomes), max(most)) == (4, 2)


@pytest.mark.slow
@pytest.mark.ci
def test_an_interrupted_sweep_has_what_was_found(tmp_path: Path) -> None:
    """Its processes have ended, and another call goes on."""

    def progress(line: str) -> None:
        raise KeyboardInterrupt

    grid = {"bits": [4, 5, 6, 7]}
    found = sweep(MODEL, grid, tmp_path / "s", build=False, workers=2, progress=progress)
    assert found.interrupted
    assert len(found.outcomes) == 1
    assert "1 trials (interrupted)" in str(found)
    assert len(list(tmp_path.glob(f"s/{TRIALS}/*/{RESULT}"))) <= 2
    again = sweep(MODEL, {"bits": [4, 5]}, tmp_path / "s", build=False, workers=2)
    assert len(again.outcomes) == 2
    assert not again.interrupted


@pytest.mark.slow
@pytest.mark.ci
def test_a_study_asks_for_each_configuration_once(tmp_path: Path) -> None:
    """It goes on where it was, also to the last of the grid; circuits that do not fit are not its best."""
    pytest.importorskip("optuna")
    grid = {"a": [3, 2, 1, 0, 3], "b": ["fixed<8,3>", None, {"c": 1}]}
    storage, goals = f"sqlite:///{tmp_path / 'study.db'}", objectives_of(["lut", "fmax"])
    seen: list[dict[str, object]] = []
    for trials in (3, 99):
        before = len(seen)
        study = Study.of(grid, goals, trials, storage, "one", 0)
        for count, keys in enumerate(study):
            if count < before:
                assert seen[count] == keys
                continue
            seen.append(dict(keys))
            place, a = list(grid["b"]).index(keys["b"]), int(str(keys["a"]))
            study.tell(keys, {} if place == 2 else {"lut": 10.0 + a + place, "fmax": 5.0}, fits=place != 2 and a != 0)
        assert len({json.dumps(each) for each in seen}) == len(seen) == min(trials, 12)
    (best,) = study.study.best_trials
    assert best.user_attrs["configuration"] == {"a": "1", "b": "fixed<8,3>"}
    assert [best.values[0], best.params] == [11.0, {"a": 1, "b": "fixed<8,3>"}]
    pruned = [trial for trial in study.study.get_trials() if trial.state.name == "PRUNED"]
    assert {trial.user_attrs["configuration"]["a"] for trial in pruned if "c" not in trial.params["b"]} == {"0"}
    assert len(pruned) == 4 + 2


@pytest.mark.slow
@pytest.mark.ci
def test_a_study_prunes_circuits_that_do_not_fit_before_they_are_scored_and_built(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    x, labels = _digits()
    grid = {"bits": [3, 12], "LayerName.fc1.ReuseFactor": [1]}
    data = {"calibration": x, "test": (x, labels), "part": "iCE40UP5K-SG48", "build": {"validate": False}}
    found = sweep(MODEL, grid, tmp_path / "s", trials=2, workers=1, **data)  # type: ignore[arg-type]
    small, large = sorted(found.outcomes, key=lambda each: str(each.keys["bits"]), reverse=True)
    assert small.fits and {"loss", "score"} <= small.figures.keys() and "lut" in small.measured
    assert not large.fits and not large.error and not large.measured
    assert large.figures["lut"] > 5280 and "loss" not in large.figures
    assert [path.parent.name for path in (tmp_path / "s" / TRIALS).glob("*/circuit")] == [small.name]
    assert found.best() is small and "2 trials, 1 stopped since they do not fit" in str(found)
    (summary,) = optuna.get_all_study_summaries(name := f"sqlite:///{tmp_path / 's' / 'study.db'}")
    study = optuna.load_study(study_name=summary.study_name, storage=name)
    asked = [trial for trial in study.get_trials() if trial.state.name != "FAIL"]
    states = {trial.user_attrs["configuration"]["bits"]: trial.state.name for trial in asked}
    assert states == {"3": "COMPLETE", "12": "PRUNED"} and len(asked) == 2
    (plain,) = sweep(MODEL, {"bits": [12]}, tmp_path / "t", **{**data, "build": False}).outcomes  # type: ignore[arg-type]
    assert not plain.fits and "loss" in plain.figures


def test_warnings_and_missing_figures_are_told(tmp_path: Path) -> None:
    found = {
        "figures": {"lut": 5},
        "fits": True,
        "notes": ["far off. It starts here:\n  layer fc1\n  layer fc2", "slow\n  very"],
    }
    outcome = Outcome.of("a", {"bits": 4}, found)
    assert outcome.warned == "bits=4: far off. It starts here: layer fc1; slow"
    assert outcome.warned in str(Sweep(tmp_path, (outcome,), objectives_of(["lut"]), interrupted=False))
    result = Sweep(tmp_path, (outcome,), objectives_of(["fmax"]), interrupted=False)
    with pytest.raises(CapacityError, match=r"no circuit that fits has these figures: Fmax"):
        result.best()


def test_errors_of_a_configuration_are_results(tmp_path: Path) -> None:
    plan = Plan.of({"KerasModel": str(MODEL)}, {}, None, None, None, ["lut"])
    trial = plan.trial({"LayerName.fc9.ReuseFactor": 4})
    for path, content in trial.placed.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    found = result_of(tmp_path / TRIALS / trial.name)
    assert "fc9" in str(found["error"])
    assert found["again"] is False
    project = yaml.safe_load((tmp_path / TRIALS / trial.name / "project.yml").read_text(encoding="utf-8"))
    assert project["HLSConfig"]["LayerName"] == {"fc9": {"ReuseFactor": 4}}


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"grid": {}}, "grid"),
        ({"grid": {"bits": []}}, "grid"),
        ({"grid": {"bits": 4}}, "grid"),
        ({"grid": [4, 6]}, "list of dictionaries"),
        ({"grid": {"bits": [4]}, "output_dir": {"Bits": 4}}, "output_dir: a dict[\\s\\S]*config="),
        ({"grid": {"bites": [4]}}, r"nothing .*'bites'[\s\S]*did you mean 'bits'"),
        ({"grid": {"bits": [4]}, "minimize": ["luts"]}, "minimize"),
        ({"grid": {"bits": [4]}, "minimize": []}, "minimize"),
        ({"grid": {"bits": [4]}, "trials": 0}, "trials"),
        ({"grid": {"bits": [object()]}}, "sweep"),
        ({"grid": {"bits": [4]}, "model": object()}, "model"),
        ({"grid": {"bits": [4]}, "model": "absent.keras"}, "absent.keras: there is no such file"),
        ({"grid": {"bits": [4]}, "weights": "w.h5"}, "weights"),
        ({"grid": {"bits": [4]}, "layers": {int: None}}, "sweep"),
        ({"grid": {"reuse_factor": [1, float("nan")]}}, "ReuseFactor"),
        ({"grid": [{"bits": 4}, {"Model.Nope": 1}]}, "Nope"),
        ({"grid": {"bits": [4]}, "workers": 0}, "workers"),
    ],
)
def test_arguments_without_meaning_are_rejected(arguments: dict[str, object], where: str, tmp_path: Path) -> None:
    given = {"model": MODEL, "output_dir": tmp_path / "s", "build": False, **arguments}
    with pytest.raises((ConfigError, ModelFileError), match=where):
        sweep(**given)  # type: ignore[arg-type]
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
@pytest.mark.ci
def test_command_says_the_same(tmp_path: Path) -> None:
    x, labels = _digits()
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", labels)
    data = ["--calibration", tmp_path / "x.npy", "--test", tmp_path / "x.npy", tmp_path / "y.npy"]
    given = [MODEL, *data, "--estimate", "--try", "Bits=4", "--part", "LFE5U-25F", "--json", "-o", tmp_path / "s"]
    done = CliRunner().invoke(app, ["sweep", *map(str, given)])
    assert done.exit_code == 0, done.output
    (trial,) = json.loads(done.stdout)["trials"]
    found = sweep(MODEL, {"bits": [4]}, tmp_path / "s", None, x, (x, labels), part="LFE5U-25F", build=False)
    assert trial["front"]
    assert trial["figures"] == found.best().figures
    wrong = CliRunner().invoke(app, ["sweep", str(MODEL), "--estimate", "--try", "Bits", "-o", str(tmp_path / "t")])
    assert wrong.exit_code == 1
    assert "KEY=VALUE" in wrong.output
