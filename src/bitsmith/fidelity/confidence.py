"""Confidence of a float model in each of its possible decisions, scaled so that labels are as likely as they can be.

In: outputs of the float model, and labels. Out: for each label the probability of each class. Outputs are logits or
probabilities, and their scale need not be right: it is fitted to the labels, as C. Guo et al. (temperature scaling, 2017) do it,
and so is the share of labels that are wrong however sure the model is.
"""

import numpy as np

from bitsmith.layers.layer import Floats

_SCALES = 2.0 ** np.arange(-6.0, 6.25, 0.25)
"""Scales of logits that are tried, by their spread."""

_WRONG = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
"""Shares of labels at random that are tried."""

_ROWS = 5000
"""Most labels, evenly spaced, that the two are fitted to."""

_LEAST = 1e-12


def confidence(output: Floats, labels: Floats, threshold: float) -> Floats:
    """The probability of each class of each row of ``output``; of elements with labels of their own those of 0 and of 1.

    ``threshold`` is between the decisions of an element: 0.5 of probabilities, 0 of logits.
    """
    if labels.shape == output.shape:
        pairs = np.stack([1.0 - output if threshold else np.zeros_like(output), output], axis=-1)
        logits = _logits(pairs) if threshold else pairs
    else:
        probabilities = output.min() >= 0.0 and np.allclose(output.sum(axis=-1), 1.0, atol=1e-3)
        logits = _logits(output) if probabilities else output
    logits = logits / (float(np.std(logits)) or 1.0)
    classes = logits.shape[-1]
    rows, right = logits.reshape(-1, classes), labels.astype(np.int64).reshape(-1, 1)
    few = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _ROWS)).astype(np.int64))
    fits = []
    for scale in _SCALES:
        said = np.take_along_axis(_softmax(rows[few] * scale), right[few], axis=-1)
        surprises = ((-np.log((1 - wrong) * said + wrong / classes + _LEAST).mean(), wrong) for wrong in _WRONG)
        fits.append((*min(surprises), scale))
    _, wrong, scale = min(fits)
    return np.asarray((1.0 - wrong) * _softmax(logits * scale) + wrong / classes)


def _logits(probabilities: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(probabilities, _LEAST)))


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))
