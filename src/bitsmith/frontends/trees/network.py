"""A network of an ensemble of trees: the trees, the function of their sums, and the class of the greatest."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.ops.trees import warn_of_missing
from bitsmith.layers.activation import Activation, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.elementwise import Absolute, Sign
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Concatenate, Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.reduction import ArgMax
from bitsmith.layers.shape import Gather, Reshape
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.trees import Trees

MOST_OUTPUTS = 1024
"""Most sums of trees."""


class Link(enum.Enum):
    """Functions of the sums of trees: names of nodes and their layers, one after another, and the inverse.

    A layer of two operands reads the sums, too. The inverse of what no sum leads to is no finite number; None: there is none.
    """

    IDENTITY = (), lambda results: results
    """The sums themselves: of regressors, and of forests, whose leaves are probabilities."""
    SIGMOID = (("probabilities", Activation("sigmoid")),), lambda results: np.log(results / (1 - results))
    """The probability by one sum, the logarithm of the odds of the second of two classes."""
    SOFTMAX = (("probabilities", Softmax()),), None
    """The probabilities by a sum for each class."""
    EXPONENTIAL = (("exponential", Activation("exponential")),), np.log
    """Powers of e: of counts, and of others that are positive."""
    POWER = (("power", Activation("exp2")),), np.log2
    """Powers of 2."""
    SOFTPLUS = (("softplus", Activation("softplus")),), lambda results: np.log(np.expm1(results))
    """``log(1 + exp(s))``."""
    STEP = (("sign", Sign()), ("step", ReLU())), None
    """1 of what is above 0, else 0."""
    SIGNED_SQUARE = (
        (("magnitude", Absolute()), ("square", Multiply())),
        lambda results: np.copysign(np.sqrt(np.abs(results)), results),
    )
    """``s * abs(s)``."""

    def __init__(self, layers: Sequence[tuple[str, Layer]], inverse: Callable[[Floats], Floats] | None) -> None:
        self.layers, self.inverse = layers, inverse


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a classifier, in the order of its probabilities: integers (floats, too), or what has names."""

    labels: Sequence[object]
    last: bool = False
    """True if the last of classes that are as likely is taken, not the first."""

    @staticmethod
    def of(model: Any) -> list[Classes]:
        """The classes of each output of a fitted classifier of scikit-learn; none of all else."""
        found = getattr(model, "classes_", [])
        return [Classes(list(some)) for some in (found if isinstance(found, list) else [found])]

    def numbered(self, labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The numbers that the network gives for the library's ``labels``, whose classes are in ascending order."""
        return labels if self._integers() is not None else np.searchsorted(np.asarray(self.labels), labels)

    def layer(self) -> Layer | None:
        """The layer that turns numbers of classes into the integers that these are; None if they are the same, or names."""
        numbers = self._integers() or list(range(len(self.labels)))
        numbers = numbers[::-1] if self.last else numbers
        return None if numbers == list(range(len(numbers))) else Embedding(as_weights(numbers).reshape(-1, 1))

    def notes(self, name: str) -> tuple[str, ...]:
        """Return the note on classes that are not integers."""
        if self._integers() is not None:
            return ()
        listed = ", ".join(f"{number} {str(label)[:40]!r}" for number, label in enumerate(self.labels[:10]))
        more = ", ..." if len(self.labels) > 10 else ""
        return (f"{name} gives the number of a class, not the class: {listed}{more}.",)

    def _integers(self) -> list[int] | None:
        numbers = [label for label in self.labels if isinstance(label, int | float | np.integer | np.floating)]
        integers = [int(label) for label in numbers if float(label).is_integer()]
        return integers if len(integers) == len(self.labels) else None


def network_of(
    trees: Trees,
    link: Link,
    classes: Classes | None,
    name: str,
    shape: Shape | None = None,
    projections: Floats | None = None,
) -> Network:
    """The network of a regressor or, with ``classes``, of a classifier: its label, and its probabilities.

    Sums have a ``shape`` of their own, or one axis. Trees read the features and, if there are ``projections`` (features, sums),
    weighted sums of these.

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
    chain = Chain.of_trees(trees, name, projections)
    scores = chain.last if shape is None else chain.then("scores", Reshape(shape))
    if classes is not None and single:
        scores = chain.then("both", Dense(as_weights([[-1.0, 1.0]])))
    for called, layer in link.layers:
        chain.then(called, layer, *((scores, chain.last) if isinstance(layer, Multiply) else ()))
    result = chain.last
    if classes is None:
        return chain.network(result)
    return chain.classified(scores, result, [classes])


def outliers_of(trees: Trees, offset: float, name: str) -> Network:
    """The network of an outlier detector, where ``trees`` sum to ``s``: 1 where that is 0 or more, else -1, and the score.

    The score is ``(1 - 2**-s) * -offset``, of the sign of ``s``.
    """
    chain = Chain.of_trees(trees, name)
    negated = chain.then("negated", Dense(as_weights([[-1.0]])))
    chain.then("power", Activation("exp2"), negated)
    score = chain.then("score", Dense(as_weights([[offset]]), as_weights([-offset])))
    both = chain.then("both", Dense(as_weights([[1.0, -1.0]])), "trees")
    return chain.network(chain.label(both, Classes([1, -1])), score)


def of_missing(network: Network, *, is_trained: bool) -> Network:
    """``network``, with a note and a warning if the training of its trees saw missing values."""
    return replace(network, notes=(*network.notes, warn_of_missing(network.name))) if is_trained else network


@dataclass(frozen=True, slots=True)
class Chain:
    """A network from features on, while it is made; each layer reads the last before it if no other is said."""

    name: str
    nodes: list[NetworkNode]

    @staticmethod
    def of(size: int, name: str) -> Chain:
        """The input alone."""
        return Chain(name, [NetworkNode("features", Input((size,)))])

    @staticmethod
    def of_trees(trees: Trees, name: str, projections: Floats | None = None) -> Chain:
        """The input and the trees, which read weighted sums of features, too."""
        chain = Chain.of(trees.size if projections is None else len(projections), name)
        if projections is not None:
            chain.then("projections", Dense(projections))
            chain.then("all", Concatenate(-1), "features", "projections")
        chain.then("trees", trees)
        return chain

    @property
    def last(self) -> str:
        return self.nodes[-1].name

    def then(self, called: str, layer: Layer, *before: str) -> str:
        """Add a layer, and return its name."""
        self.nodes.append(NetworkNode(called, layer, before or (self.last,), source=self.name))
        return called

    def label(self, scores: str, classes: Classes, mark: str = "") -> str:
        """Add the class of the greatest score, the first of equal ones; names of nodes end with ``mark``."""
        if classes.last:
            scores = self.then(f"reversed{mark}", Dense(as_weights(np.eye(len(classes.labels))[::-1])), scores)
        label = self.then(f"label{mark}", ArgMax(-1), scores)
        if (named := classes.layer()) is None:
            return label
        self.then(f"entry{mark}", named)
        return self.then(f"class{mark}", Reshape(()))

    def classified(self, scores: str, probabilities: str, every: Sequence[Classes]) -> Network:
        """The network of a classifier of one output or several, whose scores and probabilities come one after another.

        Each output has its class and its probabilities.
        """
        if len(every) == 1:
            label = self.label(scores, every[0])
            return self.network(label, probabilities, notes=every[0].notes(label))
        outputs, notes, start = list[str](), list[str](), 0
        for number, classes in enumerate(every):
            own = Gather(tuple(range(start, start + len(classes.labels))), 0)
            share = self.then(f"probabilities_{number}", own, probabilities)
            score = share if scores == probabilities else self.then(f"scores_{number}", own, scores)
            label = self.label(score, classes, f"_{number}")
            outputs += [label, share]
            notes += classes.notes(label)
            start += len(classes.labels)
        return self.network(*outputs, notes=tuple(notes))

    def network(self, *outputs: str, notes: tuple[str, ...] = ()) -> Network:
        return Network(tuple(self.nodes), ("features",), outputs, self.name, notes)
