"""The record of formulas: expressions of sympy, texts, and the tables of equations that PySR writes."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bitsmith.base.files import local_path
from bitsmith.errors import BitsmithError, ModelFileError
from bitsmith.frontends.files.archive import whole_file
from bitsmith.frontends.framework import Framework, ModelKey, ReadOptions, no_content, no_layer_results
from bitsmith.frontends.input_shapes import NamedInputs
from bitsmith.frontends.outputs import FrameworkRun, ModelRun
from bitsmith.layers.network import Network

if TYPE_CHECKING:
    from bitsmith.frontends.formulas.expression import Expression

_MOST_BYTES = 16 << 20
_MOST_RESULTS = 1024
_MOST_SYMBOLS = 1 << 16

_OPERATORS = frozenset("+*^(")
"""Characters of which a text must have one to be a formula and not the path of a file."""


@dataclass(frozen=True, slots=True)
class Formulas:
    """Formulas, texts or expressions of sympy, with the names of their inputs and perhaps ranges of these.

    ``functions`` are names that functions have besides.
    """

    sources: Sequence[object]
    inputs: NamedInputs | None = None
    functions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def expressions(self) -> list[Expression]:
        """The expressions that the formulas are.

        Raises:
            ModelFileError, UnsupportedError: a text that is no formula, or functions that are not known.
        """
        from bitsmith.frontends.formulas.parse import parse_formula
        from bitsmith.frontends.formulas.symbolic import of_sympy

        if not 0 < len(self.sources) <= _MOST_RESULTS:
            raise ModelFileError(f"{len(self.sources)} formulas", where="formulas", accepted=f"1 to {_MOST_RESULTS}")
        names, functions = self.inputs or (), self.functions
        return [
            parse_formula(one, names, functions) if isinstance(one, str) else of_sympy(one, functions)
            for one in self.sources
        ]


def _is_live(model: object) -> bool:
    from bitsmith.frontends.formulas.symbolic import is_sympy

    if isinstance(model, str):
        return _is_text(model)
    if isinstance(model, list | tuple):
        return bool(model) and all(isinstance(one, str) or is_sympy(one) for one in model)
    return isinstance(model, Formulas) or is_sympy(model) or _is_regressor(model)


def _is_text(text: str) -> bool:
    """True of a formula as text, which no file has as its name."""
    from bitsmith.frontends.formulas.expression import names_of
    from bitsmith.frontends.formulas.parse import parse_formula

    if not _OPERATORS.intersection(text) or os.path.lexists(text[:4096]):
        return False
    try:
        return bool(names_of(parse_formula(text)))
    except BitsmithError:
        return False


def _is_regressor(model: object) -> bool:
    """True of a fitted PySRRegressor, which gives its best expressions."""
    return type(model).__module__.split(".")[0] == "pysr" and hasattr(model, "sympy")


# Regressors have no types.
def formulas_of(model: Any) -> Formulas:
    """The formulas that a live model, or the path of a file, is."""
    if isinstance(model, Formulas):
        return model
    if isinstance(model, os.PathLike) or (isinstance(model, str) and not _is_text(model)):
        return _of_table(local_path(model))
    found = model.sympy() if _is_regressor(model) else model
    return Formulas(found if isinstance(found, list | tuple) else [found])


def symbols(formulas: Formulas, count: int | None) -> tuple[str, ...] | None:
    """The inputs ``x0``, ``x1`` and so on: so many, or to the last that occurs; None where inputs have other names."""
    from bitsmith.frontends.formulas.expression import names_of

    if count is None:
        used = names_of(*formulas.expressions())
        if not all(name[:1] == "x" and name[1:].isdecimal() for name in used):
            return None
        count = max((int(name[1:]) for name in used), default=0) + 1
    return tuple(f"x{number}" for number in range(min(count, _MOST_SYMBOLS)))


def _of_table(path: Path) -> Formulas:
    """The equation of a table that PySR would choose: of those of less than 1.5 times the least loss the one before which the
    logarithm of the loss falls most for each step of complexity (PySR's model_selection="best").
    """
    rows = [*csv.DictReader(whole_file(path, _MOST_BYTES).decode("utf-8", "replace").splitlines())]
    accepted = "PySR's hall_of_fame.csv: Complexity, Loss, Equation"
    if not rows or not {"Complexity", "Loss", "Equation"} <= set(rows[0]):
        raise ModelFileError("not a table of equations", where=str(path), accepted=accepted)
    try:
        complexity, loss = (np.array([float(row[key]) for row in rows]) for key in ("Complexity", "Loss"))
    except (TypeError, ValueError) as error:
        raise ModelFileError("a row without numbers", where=str(path), accepted=accepted) from error
    with np.errstate(all="ignore"):
        falls = -np.diff(np.log(np.maximum(loss, math.ulp(0.0)))) / np.diff(complexity)
    scores = np.where(loss <= 1.5 * loss.min(), np.concatenate([[0.0], np.nan_to_num(falls, nan=0.0)]), -np.inf)
    best = int(np.argmax(scores))
    note = (
        f"Row {best + 1} of {len(rows)} equations, of complexity {complexity[best]:g} and loss {loss[best]:g}: "
        f"{str(rows[best]['Equation'])[:200]}. Another is converted as text."
    )
    return Formulas([str(rows[best]["Equation"])], notes=(note,))


def _with_inputs(model: object, inputs: object) -> object:
    from bitsmith.frontends.formulas.read import check_inputs

    named = check_inputs(inputs)
    if isinstance(model, str) and _is_text(model):
        model = Formulas([model])
    return model if named is None else replace(formulas_of(model), inputs=named)


def _read(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.formulas.read import read_formulas

    formulas = formulas_of(model)
    found = read_formulas(formulas.expressions(), formulas.inputs, allow_approximate=options.allow_approximate)
    return replace(found, notes=(*formulas.notes, *found.notes))


def _outputs(run: ModelRun) -> FrameworkRun:
    from bitsmith.frontends.formulas.expression import names_of
    from bitsmith.frontends.formulas.symbolic import by_sympy, evaluated

    formulas = formulas_of(run.model)
    expressions = formulas.expressions()
    names = tuple(formulas.inputs or names_of(*expressions))
    x = run.inputs[0].astype(np.float64)
    if all(isinstance(one, str) for one in formulas.sources):
        return FrameworkRun("NumPy", (evaluated(expressions, names, x),))
    return FrameworkRun("sympy", (by_sympy(formulas.sources, names, x),))


FORMULAS = Framework(
    name="formulas",
    stem="formula",
    keys=(ModelKey("FormulaModel", (".csv",), weights=None, live=True),),
    refused=(),
    files="*.csv of PySR",
    live="a formula of sympy or as text, or a list of them",
    is_live=_is_live,
    is_content=no_content,
    folder=None,
    takes=frozenset(),
    read=_read,
    outputs=_outputs,
    layer_results=no_layer_results,
    shapeless=None,
    with_inputs=_with_inputs,
)
