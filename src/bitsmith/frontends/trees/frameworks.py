"""The records of scikit-learn and of libraries of trees."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitsmith.frontends.files.archive import whole_file
from bitsmith.frontends.framework import ModelKey, PlainFramework, ReadOptions, no_content
from bitsmith.frontends.outputs import FrameworkRun, ModelRun
from bitsmith.frontends.trees import LIGHTGBM_MARK, XGBOOST_MARK
from bitsmith.layers.network import Network

if TYPE_CHECKING:
    from bitsmith.frontends.trees.network import Classes


def _is_of(package: str, *others: str) -> Callable[[object], bool]:
    """A test for models of classes that derive from those of a package, and that have ``predict``, or one of ``others``."""

    def is_one(model: object) -> bool:
        modules = [base.__module__ for base in type(model).__mro__]
        return any(f"{module}.".startswith(f"{package}.") for module in modules) and any(
            hasattr(model, method) for method in ("predict", *others)
        )

    return is_one


def _classes(model: object) -> Classes | None:
    """The classes of a classifier with the methods of scikit-learn; None of all else."""
    from bitsmith.frontends.trees.network import Classes

    return Classes(list(model.classes_)) if hasattr(model, "predict_proba") and hasattr(model, "classes_") else None


def _read_sklearn(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.trees.columns import with_columns
    from bitsmith.frontends.trees.sklearn import read_sklearn

    return with_columns(read_sklearn(model, options), getattr(model, "feature_names_in_", ()), "scikit-learn")


# Boosters have no types.
def _read_xgboost(model: Any, options: ReadOptions) -> Network:
    from bitsmith.frontends.files.json import MAX_JSON_BYTES
    from bitsmith.frontends.trees.xgboost import read_xgboost

    if isinstance(model, str | os.PathLike):
        return read_xgboost(whole_file(Path(model), MAX_JSON_BYTES), str(model), None)
    booster, best = model, None
    if hasattr(model, "get_booster"):
        booster, best = model.get_booster(), getattr(model, "best_iteration", None)
    if best is not None:  # which estimators stop at, and boosters do not
        booster = booster[: best + 1]
    missing = None if model is booster else float(math.nan if model.missing is None else model.missing)
    return read_xgboost(bytes(booster.save_raw("json")), "XGBoost", _classes(model), missing)


def _read_lightgbm(model: Any, options: ReadOptions) -> Network:
    from bitsmith.frontends.trees.lightgbm import MOST_BYTES, read_lightgbm

    if isinstance(model, str | os.PathLike):
        return read_lightgbm(whole_file(Path(model), MOST_BYTES), str(model), None)
    booster = getattr(model, "booster_", model)
    return read_lightgbm(booster.model_to_string().encode(), "LightGBM", _classes(model))


def _read_catboost(model: Any, options: ReadOptions) -> Network:
    from bitsmith.frontends.files.json import MAX_JSON_BYTES
    from bitsmith.frontends.trees.catboost import read_catboost, text_of

    if isinstance(model, str | os.PathLike):
        return read_catboost(whole_file(Path(model), MAX_JSON_BYTES), str(model), raw=False)
    return read_catboost(text_of(model), "CatBoost", raw=type(model).__name__ == "CatBoost")


def _read_treelite(model: Any, options: ReadOptions) -> Network:
    from bitsmith.frontends.files.json import MAX_JSON_BYTES
    from bitsmith.frontends.trees.treelite import read_treelite

    if isinstance(model, str | os.PathLike):
        return read_treelite(whole_file(Path(model), MAX_JSON_BYTES), str(model))
    return read_treelite(model.dump_as_json(pretty_print=False).encode(), "treelite")


def _read_ydf(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.trees.ydf import loaded, read_ydf

    return read_ydf(loaded(model) if isinstance(model, str | os.PathLike) else model)


def _begins(*keys: str) -> Callable[[bytes], bool]:
    """A test for the first bytes of JSON whose first key is one of these, with spaces or without."""
    return lambda first: b"".join(first.split()).startswith(tuple(f'{{"{key}":'.encode() for key in keys))


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Outputs of a library's live models; of a file if the user insists, else none."""

    name: str

    def __call__(self, run: ModelRun) -> FrameworkRun | None:
        from bitsmith.frontends.trees.outputs import boosted, estimated, loaded

        if run.is_left_out:
            return None
        if isinstance(run.model, str | os.PathLike):
            return boosted(self.name, loaded(self.name, run.model), run.inputs[0])
        of = boosted if type(run.model).__name__ == "Booster" else estimated
        return of(self.name, run.model, run.inputs[0])


def _catboost_outputs(run: ModelRun) -> FrameworkRun | None:
    from bitsmith.frontends.trees.outputs import of_catboost

    return None if run.is_left_out else of_catboost(run.model, run.inputs[0])


def _treelite_outputs(run: ModelRun) -> FrameworkRun | None:
    from bitsmith.frontends.trees.outputs import of_treelite

    # treelite reads no JSON of its own.
    return None if isinstance(run.model, str | os.PathLike) else of_treelite(run.model, run.inputs[0])


def _ydf_outputs(run: ModelRun) -> FrameworkRun | None:
    from bitsmith.frontends.trees.outputs import of_ydf
    from bitsmith.frontends.trees.ydf import loaded

    return of_ydf(loaded(run.model) if isinstance(run.model, str | os.PathLike) else run.model, run.inputs[0])


SKLEARN = PlainFramework(
    name="scikit-learn",
    stem="sklearn",
    keys=(ModelKey("SklearnModel", (), weights=None, live=True),),
    files="",
    live="an estimator of scikit-learn",
    is_live=_is_of("sklearn", "transform"),
    is_content=no_content,
    folder=None,
    takes=frozenset(),
    read=_read_sklearn,
    outputs=_Outputs("scikit-learn"),
)

XGBOOST = PlainFramework(
    name="XGBoost",
    stem="xgboost",
    keys=(ModelKey("XgboostModel", (), weights=None, live=True),),
    files="*.json and *.ubj",
    live="a model of XGBoost",
    is_live=_is_of("xgboost"),
    is_content=lambda first: _begins("learner")(first) or first.startswith(XGBOOST_MARK),
    folder=None,
    takes=frozenset(),
    read=_read_xgboost,
    outputs=_Outputs("XGBoost"),
)

LIGHTGBM = PlainFramework(
    name="LightGBM",
    stem="lightgbm",
    keys=(ModelKey("LightgbmModel", (), weights=None, live=True),),
    files="*.txt",
    live="a model of LightGBM",
    is_live=_is_of("lightgbm"),
    is_content=lambda first: first.startswith(LIGHTGBM_MARK),
    folder=None,
    takes=frozenset(),
    read=_read_lightgbm,
    outputs=_Outputs("LightGBM"),
)

CATBOOST = PlainFramework(
    name="CatBoost",
    stem="catboost",
    keys=(ModelKey("CatboostModel", (), weights=None, live=True),),
    files="*.json",
    live="a model of CatBoost",
    is_live=_is_of("catboost"),
    is_content=_begins("features_info", "ctr_data"),
    folder=None,
    takes=frozenset(),
    read=_read_catboost,
    outputs=_catboost_outputs,
)

TREELITE = PlainFramework(
    name="treelite",
    stem="treelite",
    keys=(ModelKey("TreeliteModel", (), weights=None, live=True),),
    files="*.json",
    live="a model of treelite",
    is_live=lambda model: type(model).__module__.startswith("treelite.") and hasattr(model, "dump_as_json"),
    is_content=_begins("threshold_type"),
    folder=None,
    takes=frozenset(),
    read=_read_treelite,
    outputs=_treelite_outputs,
)

YDF = PlainFramework(
    name="YDF",
    stem="ydf",
    keys=(ModelKey("YdfModel", (), weights=None, live=True),),
    files="the folder of a model",
    live="a model of YDF",
    is_live=_is_of("ydf"),
    is_content=no_content,
    folder="data_spec.pb",
    takes=frozenset(),
    read=_read_ydf,
    outputs=_ydf_outputs,
)
