"""A network of an ensemble of trees: the trees, the function of their sums, and the class of the greatest."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.layers.activation import Activation
from bitsmith.layers.dense import Dense
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.reduction import ArgMax
from bitsmith.layers.shape import Reshape
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.trees import Trees


class Link(enum.Enum):
    """Functions of the sums of trees."""

    IDENTITY = "identity"
    """The sums themselves: of regressors, and of forests, whose leaves are probabilities."""
    SIGMOID = "sigmoid"
    """The probability by one sum, the logarithm of the odds of the second of two classes."""
    SOFTMAX = "softmax"
    """The probabilities by a sum for each class."""


_FUNCTIONS: dict[Link, Layer | None] = {
    Link.IDENTITY: None,
    Link.SIGMOID: Activation("sigmoid"),
    Link.SOFTMAX: Softmax(),
}


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a classifier, in the order of its probabilities: integers, or anything else that has names."""

    labels: Sequence[object]

    def layer(self) -> Layer | None:
        """The layer that turns numbers of classes into the integers that these are; None if they are the same, or names."""
        integers = self._integers()
        if integers is None or integers == list(range(len(integers))):
            return None
        return Embedding(as_weights(integers).reshape(-1, 1))

    def notes(self, name: str) -> tuple[str, ...]:
        """Return the note on classes that are not integers."""
        if self._integers() is not None:
            return ()
        listed = ", ".join(f"{number} {str(label)[:40]!r}" for number, label in enumerate(self.labels[:10]))
        more = ", ..." if len(self.labels) > 10 else ""
        return (f"{name} gives the number of a class, not the class: {listed}{more}.",)

    def _integers(self) -> list[int] | None:
        integers = [int(label) for label in self.labels if isinstance(label, int | np.integer)]
        return integers if len(integers) == len(self.labels) else None


def network_of(trees: Trees, link: Link, classes: Classes | None, name: str) -> Network:
    """The network of a regressor or, with ``classes``, of a classifier: its label, and its probabilities.

    Raises:
        UnsupportedError: there is not a score for each class, so that none of them is the greatest.
    """
    single = link is Link.SIGMOID and trees.base.size == 1
    scored = 2 if single else trees.base.size
    if classes is not None and scored != len(classes.labels):
        raise UnsupportedError(
            f"{scored} scores for {len(classes.labels)} classes",
            where=name,
            accepted="an objective with a score for each class, or the logarithm of the odds of two",
            remedy="give the booster, whose scores are the result",
        )
    nodes = [NetworkNode("features", Input((trees.size,)))]

    def then(called: str, layer: Layer, before: str | None = None) -> str:
        nodes.append(NetworkNode(called, layer, (nodes[-1].name if before is None else before,), source=name))
        return called

    scores = then("trees", trees)
    if classes is not None and single:
        scores = then("both", Dense(as_weights([[-1.0, 1.0]])))
    function = _FUNCTIONS[link]
    result = scores if function is None else then("probabilities", function)
    if classes is None:
        return Network(tuple(nodes), ("features",), (result,), name)
    label = then("label", ArgMax(-1), scores)
    if (named := classes.layer()) is not None:
        then("entry", named)
        label = then("class", Reshape(()))
    return Network(tuple(nodes), ("features",), (label, result), name, classes.notes(label))
