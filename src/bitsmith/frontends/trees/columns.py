"""Estimators of scikit-learn that were fitted on tables with named columns, as those of arrays."""

import copy
from typing import Any


def by_number(model: Any) -> Any:
    """The model without choices that change nothing of what it predicts from numbers, but that readers and the export refuse.

    Columns of a table become their numbers, and classifiers that vote have no flat shares.
    """
    kept = copy.copy(model)
    if hasattr(model, "steps"):
        kept.steps = [(name, by_number(step)) for name, step in model.steps]
    elif hasattr(model, "flatten_transform"):
        kept.flatten_transform = False
    elif hasattr(model, "feature_names_in_") and hasattr(model, "_transformer_to_input_indices"):
        columns = model._transformer_to_input_indices
        kept.transformers_ = [(name, by_number(part), list(columns[name])) for name, part, _ in model.transformers_]
        del kept.feature_names_in_
    return kept
