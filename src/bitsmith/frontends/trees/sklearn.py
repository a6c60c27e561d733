"""Live models of scikit-learn: trees directly, all others by way of ONNX."""

import importlib
import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.ops.trees import Tree, average_path, ensemble, equal_to, of_singles
from bitsmith.frontends.trees.columns import by_number, numbers_of
from bitsmith.frontends.trees.estimators import (
    read_ellipses,
    read_kernels,
    read_neighbors,
    read_odds,
    read_powers,
    refuse_posteriors,
)
from bitsmith.frontends.trees.network import Chain, Classes, Link, network_of, of_missing, outliers_of
from bitsmith.frontends.trees.scalers import before_scaling
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.trees import Places


@dataclass(frozen=True, slots=True)
class _Sums:
    """The trees of a model, what their sums begin with (outputs,), and the function of these."""

    trees: list[Tree]
    base: Floats
    link: Link


# Attributes of scikit-learn's classes have no types.
def _tree(model: Any, values: Floats, weight: float = 1.0) -> Tree:
    """A fitted tree whose rows have ``values`` (rows, outputs)."""
    tree = model.tree_
    leaf = np.asarray(tree.children_left) < 0
    yes, no = (np.where(leaf, 0, np.asarray(part)) for part in (tree.children_left, tree.children_right))
    return Tree(leaf, np.asarray(tree.feature), of_singles(tree.threshold), {}, yes, no, values * weight)


def _tree_values(model: Any) -> Floats:
    """The shares of classes, those of one output after another, or the targets, of each row of a tree."""
    values = np.asarray(model.tree_.value, dtype=np.float64)
    if not hasattr(model, "classes_"):
        return as_weights(values[:, :, 0])
    shares = values / values.sum(axis=2, keepdims=True)
    counts = np.atleast_1d(model.n_classes_)
    return as_weights(np.concatenate([shares[:, output, :count] for output, count in enumerate(counts)], axis=1))


def _single(model: Any) -> _Sums:
    values = _tree_values(model)
    return _Sums([_tree(model, values)], np.zeros(values.shape[1]), Link.IDENTITY)


def _forest(model: Any) -> _Sums:
    trees, share = model.estimators_, 1 / len(model.estimators_)
    found = [_tree(tree, _tree_values(tree), share) for tree in trees]
    return _Sums(found, np.zeros(found[0].values.shape[1]), Link.IDENTITY)


def _bagged(model: Any) -> _Sums:
    """The mean of trees or forests, each of some features, and of some classes by their numbers."""
    share, bag, outputs = 1 / len(model.estimators_), list[Tree](), 0
    for one, features in zip(model.estimators_, model.estimators_features_, strict=True):
        trees = _sums(one).trees
        outputs = len(model.classes_) if hasattr(model, "classes_") else trees[0].values.shape[1]
        columns = one.classes_.astype(int) if hasattr(model, "classes_") else np.arange(outputs)
        for tree in trees:
            values = np.zeros((len(tree.values), outputs))
            values[:, columns] = tree.values * share
            bag.append(_of_features(replace(tree, values=values), features))
    return _Sums(bag, np.zeros(outputs), Link.IDENTITY)


def _of_features(tree: Tree, features: Any) -> Tree:
    """A tree of some ``features``, by their numbers among all."""
    return replace(tree, feature=np.asarray(features)[np.where(tree.is_leaf, 0, tree.feature)])


def _boosted(model: Any) -> _Sums:
    rows, outputs = model.estimators_.shape
    first = model._raw_predict_init(np.zeros((2, model.n_features_in_), np.float32))
    if getattr(model, "init", None) not in (None, "zero") and not _is_constant(model.init_):
        raise UnsupportedError("boosting that begins with another model", where="init", accepted="init=None or 'zero'")
    # Sums of the exponential loss are halves of the logarithm of the odds.
    scale, trees = 2.0 if model.loss == "exponential" else 1.0, []
    for stage in range(rows):
        for output in range(outputs):
            tree = model.estimators_[stage, output]
            values = np.zeros((tree.tree_.node_count, outputs))
            values[:, output] = np.asarray(tree.tree_.value)[:, 0, 0]
            trees.append(_tree(tree, values, scale * float(model.learning_rate)))
    base = scale * np.asarray(first, dtype=np.float64)[0].reshape(outputs)
    return _Sums(trees, base, _link(model, outputs))


def _is_constant(model: object) -> bool:
    return type(model).__name__ in ("DummyClassifier", "DummyRegressor")


def _link(model: Any, outputs: int) -> Link:
    """The function of the sums of a boosted classifier, or of a regressor."""
    if not hasattr(model, "classes_"):
        return Link.EXPONENTIAL if model.loss in ("poisson", "gamma") else Link.IDENTITY
    return Link.SIGMOID if outputs == 1 else Link.SOFTMAX


def _histogram(model: Any) -> _Sums:
    order, categories = _categories(model)
    outputs = model.n_trees_per_iteration_
    trees = []
    for stage in model._predictors:
        for output, predictor in enumerate(stage):
            nodes = predictor.nodes
            values = np.zeros((len(nodes), outputs))
            values[:, output] = nodes["value"]
            leaf = nodes["is_leaf"].astype(bool)
            yes, no = (nodes[key].astype(np.int64) for key in ("left", "right"))
            feature = order[nodes["feature_idx"].astype(np.int64)]
            sets = _sets(predictor, feature, categories)
            trees.append(Tree(leaf, feature, nodes["num_threshold"].astype(np.float64), sets, yes, no, values))
    base = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(outputs)
    return _Sums(trees, base, _link(model, outputs))


def _categories(model: Any) -> tuple[Places, dict[int, Floats]]:
    """The features in the order of the trees, and the categories of each that has any, by their codes."""
    size = int(model.n_features_in_)
    if model.is_categorical_ is None or not np.any(model.is_categorical_):
        return np.arange(size), {}
    chosen = np.asarray(model.is_categorical_, dtype=bool)
    listed = model._preprocessor.named_transformers_["encoder"].categories_
    if any(some.dtype.kind not in "biuf" for some in listed):
        raise UnsupportedError("categories that are words", accepted="numbers", remedy="encode them as integers")
    features = np.flatnonzero(chosen)
    found = {int(feature): as_weights(some[some == some]) for feature, some in zip(features, listed, strict=True)}
    return np.concatenate([features, np.flatnonzero(~chosen)]), found


def _sets(predictor: Any, feature: Places, categories: Mapping[int, Floats]) -> dict[int, Floats]:
    """The bounds of decisions on categories, by rows; a number that is no category goes where missing ones do."""
    nodes, sets = predictor.nodes, {}
    for row in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)).tolist():
        listed, words = categories[int(feature[row])], predictor.raw_left_cat_bitsets[nodes["bitset_idx"][row]]
        codes = np.arange(listed.size)
        left = (words[codes // 32] >> (codes % 32).astype(np.uint32)) & 1 == 1
        others = bool(nodes["missing_go_to_left"][row])
        bounds = equal_to(listed[left != others])
        sets[row] = np.append(bounds, np.inf) if others else bounds
    return sets


@dataclass(frozen=True, slots=True)
class _Ensemble:
    """A base class of scikit-learn's: the reader of its trees, and whether results are plain sums, which bagging may add up."""

    read: Callable[[Any], _Sums]
    plain: bool


_ENSEMBLES: Mapping[str, _Ensemble] = {
    "BaseDecisionTree": _Ensemble(_single, plain=True),
    "BaseForest": _Ensemble(_forest, plain=True),
    "BaseGradientBoosting": _Ensemble(_boosted, plain=False),
    "BaseHistGradientBoosting": _Ensemble(_histogram, plain=False),
    "BaseBagging": _Ensemble(_bagged, plain=False),
}
"""Sums of trees, by base classes."""

_SPREAD = 2.0**-14
"""The share of the largest leaf by which rounding it to 16 bits moves a sum of leaves, over the root of their number, at most."""


def read_sklearn(model: Any, options: ReadOptions) -> Network:
    """The network of a fitted estimator or pipeline.

    Raises:
        ModelFileError: it is not fitted, or skl2onnx, by which all but trees are read, cannot export it.
        UnsupportedError: it cannot be translated.
    """
    name = type(model).__name__
    if not hasattr(model, "n_features_in_"):
        raise ModelFileError(f"a {name} that was not fitted", where="scikit-learn", remedy="model.fit(x, y)")
    model = by_number(model)
    reader = _reader(model)
    if reader is not None:
        return of_missing(reader(model, name), is_trained=_saw_missing(model))
    if "MultiOutputClassifier" in (base.__name__ for base in type(model).__mro__):
        return _beside([read_sklearn(each, options) for each in model.estimators_], name)
    steps = [step for _, step in getattr(model, "steps", ())]
    own = next((number for number, step in enumerate(steps) if _reader(step) is not None), None)
    if own is None:
        return _by_onnx(model, name, options)
    network = read_sklearn(steps[own], options)
    if before := steps[:own]:
        scaled = before_scaling(network, before, int(model.n_features_in_))
        network = scaled or _joined(_by_onnx(model[:own], name, options), network)
    rest = model[own + 1 :]
    return _joined(network, read_sklearn(rest, options)) if rest.steps else network


def _reader(model: Any) -> Callable[[Any, str], Network] | None:
    """The reader of an estimator that is read itself, and not by way of ONNX."""
    known = (_READERS[base.__name__] for base in type(model).__mro__ if base.__name__ in _READERS)
    return next((reader.read for reader in known if reader.reads(model)), None)


def _ensemble(model: Any) -> _Ensemble | None:
    return next((_ENSEMBLES[base.__name__] for base in type(model).__mro__ if base.__name__ in _ENSEMBLES), None)


def _sums(model: Any) -> _Sums:
    kind = _ensemble(model)
    assert kind is not None
    return kind.read(model)


def _has_sums(model: Any) -> bool:
    """Return True of trees that predict sums, which embeddings do not, and of bags of such."""
    kind = _ensemble(model)
    assert kind is not None
    bagged = map(_ensemble, model.estimators_ if kind.read is _bagged else ())
    return hasattr(model, "predict") and all(each is not None and each.plain for each in bagged)


def _trees(model: Any, name: str) -> Network:
    sums = _sums(model)
    trees = ensemble(sums.trees, int(model.n_features_in_), as_weights(sums.base), name)
    every = Classes.of(model)
    if len(every) > 1:
        return Chain.of_trees(trees, name).classified("trees", "trees", every)
    return network_of(trees, sums.link, every[0] if every else None, name)


def _saw_missing(model: Any) -> bool:
    """Return True if missing values go elsewhere than to the branch with most samples, where they go if training saw none."""
    splits: list[tuple[Any, Any, Any, Any]] = []
    if hasattr(model, "tree_"):
        tree = model.tree_
        splits.append((tree.missing_go_to_left, tree.n_node_samples, tree.children_left, tree.children_right))
    for predictor in itertools.chain(*getattr(model, "_predictors", ())):
        nodes = predictor.nodes
        numeric = np.flatnonzero(~nodes["is_leaf"].astype(bool) & ~nodes["is_categorical"].astype(bool))
        left, right = (np.full(len(nodes), -1) for _ in range(2))
        left[numeric], right[numeric] = (nodes[key][numeric].astype(np.int64) for key in ("left", "right"))
        splits.append((nodes["missing_go_to_left"], nodes["count"], left, right))
    for goes, counts, left, right in splits:
        inner = np.flatnonzero(np.asarray(left) >= 0)
        if np.any(goes[inner].astype(bool) != (counts[left[inner]] > counts[right[inner]])):
            return True
    estimators = getattr(model, "estimators_", [])
    return any(map(_saw_missing, estimators.ravel() if isinstance(estimators, np.ndarray) else estimators))


def _joined(first: Network, last: Network) -> Network:
    """The network of two, the last of which reads what the first gives."""
    taken, (entry,) = {node.name for node in first.nodes}, last.inputs
    names = {node.name: f"{node.name}_{last.name}" if node.name in taken else node.name for node in last.nodes}
    names[entry] = first.outputs[0]
    nodes = [
        replace(node, name=names[node.name], inputs=tuple(names[before] for before in node.inputs))
        for node in last.nodes
        if node.name != entry
    ]
    outputs = tuple(names[output] for output in last.outputs)
    return replace(first, nodes=(*first.nodes, *nodes), outputs=outputs, notes=(*first.notes, *last.notes))


def _beside(networks: Sequence[Network], name: str) -> Network:
    """The network of several that read the same input, whose nodes have the number of their network after their names."""
    nodes: list[NetworkNode] = []
    outputs, notes = list[str](), list[str]()
    (entry,) = networks[0].inputs
    for number, network in enumerate(networks):
        names = {node.name: entry if node.name in network.inputs else f"{node.name}_{number}" for node in network.nodes}
        own = [node for node in network.nodes if number == 0 or node.name not in network.inputs]
        nodes += [
            replace(node, name=names[node.name], inputs=tuple(map(names.__getitem__, node.inputs))) for node in own
        ]
        outputs += [names[output] for output in network.outputs]
        notes += [
            " ".join((names.get(first, first), rest))
            for first, _, rest in (note.partition(" ") for note in network.notes)
        ]
    return Network(tuple(nodes), (entry,), tuple(outputs), name, tuple(dict.fromkeys(notes)))


def _isolation(model: Any, name: str) -> Network:
    """The network of an isolation forest. Its trees sum to 0 where a sample's score is ``offset_``.

    The sample that ``contamination`` takes for the last inlier may have that very score: sums are greater by so little that
    rounding makes no outlier of it.
    """
    trees, size, offset = model.estimators_, int(model.n_features_in_), float(model.offset_)
    whole = len(trees) * float(average_path(np.array([model._max_samples]))[0])
    share, isolating = math.log2(-offset) / len(trees), []
    for one, features in zip(trees, model.estimators_features_, strict=True):
        paths = one.tree_.compute_node_depths() + average_path(one.tree_.n_node_samples) - 1
        depths = paths / whole if whole else np.full(paths.shape, 1 / len(trees))
        isolating.append(_of_features(_tree(one, as_weights(depths + share)[:, None]), features))
    largest = max(float(np.abs(tree.values).max()) for tree in isolating)
    base = 0.0
    if model.contamination != "auto" and largest:
        base = 2.0 ** round(math.log2(largest * math.sqrt(len(trees)) * _SPREAD))  # a power of two, which costs a bit
    return outliers_of(ensemble(isolating, size, as_weights([base]), name), offset, name)


@dataclass(frozen=True, slots=True)
class _Reader:
    """The reader of a class of scikit-learn's, and which models of that class it reads."""

    read: Callable[[Any, str], Network]
    reads: Callable[[Any], bool]


def _all(model: object) -> bool:
    return True


_READERS: Mapping[str, _Reader] = {
    "IsolationForest": _Reader(_isolation, _all),
    **dict.fromkeys(_ENSEMBLES, _Reader(_trees, _has_sums)),
    **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor"), _Reader(read_neighbors, _all)),
    "GaussianProcessClassifier": _Reader(refuse_posteriors, _all),
    "KernelRidge": _Reader(read_kernels, _all),
    "PowerTransformer": _Reader(read_powers, _all),
    "QuadraticDiscriminantAnalysis": _Reader(read_ellipses, _all),
    # Scores of several classes are logarithms of odds.
    "SGDClassifier": _Reader(read_odds, lambda model: bool(model.loss == "log_loss" and len(model.classes_) > 2)),
}
"""Readers by the names of classes; a model is of the first class that it extends. All else goes by way of ONNX."""


def _by_onnx(model: Any, name: str, options: ReadOptions) -> Network:
    if find_spec("skl2onnx") is None:
        raise ModelFileError(
            f"a {name}, which is read by way of ONNX", where="scikit-learn", remedy="pip install skl2onnx"
        )
    _refuse_reordered(model)
    exporter, example = importlib.import_module("skl2onnx"), np.zeros((1, model.n_features_in_), np.float32)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the exporter reads of other versions of scikit-learn
            # Without options a classifier at the end of a pipeline is asked for a map of probabilities, which it may not have.
            last = model.steps[-1][1] if hasattr(model, "steps") else model
            without = hasattr(last, "classes_") and not hasattr(last, "predict_proba")
            chosen = {id(last): {"nocl": False}} if without else None
            proto = exporter.to_onnx(model, example, options=chosen)
    except Exception as error:  # whatever the exporter raises
        problem = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        last = "bitsmith.convert(model[-1], calibration=model[:-1].transform(x))"
        raise ModelFileError(
            f"skl2onnx cannot export a {name} ({problem})",
            where="scikit-learn",
            remedy="compute in software what the exporter cannot, such as texts or missing values, and convert the rest"
            + (f": {last}" if hasattr(model, "steps") else ""),
        ) from error
    _choose_by_scores(proto.graph.node)
    return read_onnx(proto, options)


def _refuse_reordered(model: Any) -> None:
    """Refuse all columns in another order, which skl2onnx takes in their own.

    Raises:
        UnsupportedError: a transformer of columns has them so.
    """
    for _, step in getattr(model, "steps", ()):
        _refuse_reordered(step)
    for name, part, chosen in getattr(model, "transformers_", ()):
        columns, own = numbers_of(chosen, model).tolist(), list(range(model.n_features_in_))
        if columns != own and sorted(columns) == own:
            remedy = "give its columns in the order of the table's before fit"
            raise UnsupportedError("all columns in another order than the data's", where=name, remedy=remedy)
        _refuse_reordered(part)


def _choose_by_scores(nodes: Sequence[Any]) -> None:
    """Let the class be that of the greatest score, as scikit-learn does.

    skl2onnx takes the greatest probability, of which several may be 1 where these are limits of scores.
    """
    origins = {name: node for node in nodes for name in node.output}
    for node in nodes:
        source = origins.get(node.input[0]) if node.op_type == "ArgMax" else None
        while source is not None and source.op_type in ("Div", "Add", "Clip"):
            if source.op_type == "Clip":
                node.input[0] = source.input[0]
            source = origins.get(source.input[0])
