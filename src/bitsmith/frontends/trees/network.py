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
    chain = _Chain.of(trees, name)
    scores = chain.last
    if classes is not None and single:
        scores = chain.then("both", Dense(as_weights([[-1.0, 1.0]])))
    function = _FUNCTIONS[link]
    result = scores if function is None else chain.then("probabilities", function)
    if classes is None:
        return chain.network(result)
    label = chain.label(scores, classes)
    return chain.network(label, result, notes=classes.notes(label))


def outliers_of(trees: Trees, offset: float, name: str) -> Network:
    """The network of an outlier detector, where ``trees`` sum to ``s``: 1 where that is 0 or more, else -1, and the score.

    The score is ``(1 - 2**-s) * -offset``, of the sign of ``s``.
    """
    chain = _Chain.of(trees, name)
    negated = chain.then("negated", Dense(as_weights([[-1.0]])))
    chain.then("power", Activation("exp2"), negated)
    score = chain.then("score", Dense(as_weights([[offset]]), as_weights([-offset])))
    both = chain.then("both", Dense(as_weights([[1.0, -1.0]])), "trees")
    return chain.network(chain.label(both, Classes([1, -1])), score)


@dataclass(frozen=True, slots=True)
class _Chain:
    """A network from features on, while it is made; each layer reads one other, which is the last before it if not said."""

    name: str
    nodes: list[NetworkNode]

    @staticmethod
    def of(trees: Trees, name: str) -> _Chain:
        """The input and the trees."""
        chain = _Chain(name, [NetworkNode("features", Input((trees.size,)))])
        chain.then("trees", trees)
        return chain

    @property
    def last(self) -> str:
        return self.nodes[-1].name

    def then(self, called: str, layer: Layer, before: str | None = None) -> str:
        """Add a layer, and return its name."""
        self.nodes.append(NetworkNode(called, layer, (self.last if before is None else before,), source=self.name))
        return called

    def label(self, scores: str, classes: Classes) -> str:
        """Add the class of the greatest score, the first of equal ones."""
        label = self.then("label", ArgMax(-1), scores)
        if (named := classes.layer()) is None:
            return label
        self.then("entry", named)
        return self.then("class", Reshape(()))

    def network(self, *outputs: str, notes: tuple[str, ...] = ()) -> Network:
        return Network(tuple(self.nodes), ("features",), outputs, self.name, notes)
