"""Networks and linear models of scikit-learn, exported by skl2onnx itself, against onnxruntime."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import skl2onnx
from onnx import helper
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC

import bitsmith
from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.read import read_model
from bitsmith.layers.network import Network

Numbers = npt.NDArray[np.float32]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _iris() -> tuple[Numbers, npt.NDArray[np.int64]]:
    x, y = load_iris(return_X_y=True)
    return x.astype(np.float32), y


def _wine() -> tuple[Numbers, npt.NDArray[np.int64]]:
    x, y = load_wine(return_X_y=True)
    return x.astype(np.float32), y


def _classifier(**options: object) -> MLPClassifier:
    return MLPClassifier((7, 5), max_iter=15, random_state=0, **options)


def _regressor(**options: object) -> MLPRegressor:
    return MLPRegressor(hidden_layer_sizes=(7,), max_iter=15, random_state=0, **options)


def _exported(
    model: BaseEstimator, x: Numbers, y: npt.ArrayLike, zipmap: object = True, **options: object
) -> onnx.ModelProto:
    from skl2onnx import to_onnx

    model.fit(x, y)
    chosen = {id(model): {"zipmap": zipmap}} if zipmap is not True else None
    return to_onnx(model, x[:1], options=chosen, **options)


def _expected(proto: onnx.ModelProto, x: Numbers) -> list[npt.NDArray[np.generic]]:
    """Of a map for each sample the values."""
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x})
    return [np.array([list(one.values()) for one in y]) if isinstance(y, list) else np.asarray(y) for y in found]


def _compared(proto: onnx.ModelProto, x: Numbers) -> Network:
    """The network, whose float64 results are those of onnxruntime."""
    network = read_onnx(proto)
    results = network.evaluate([x.astype(np.float64)])
    wanted = _expected(proto, x)
    assert len(network.outputs) == len(wanted)
    for name, right in zip(network.outputs, wanted, strict=True):
        np.testing.assert_allclose(results[name], right.reshape(results[name].shape), atol=1e-4, rtol=1e-4)
    return network


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_classifiers_have_labels_and_probabilities(activation: str) -> None:
    x, y = _iris()
    network = _compared(_exported(_classifier(activation=activation), x, y), x)
    assert network.notes == ()
    assert [network.shapes()[name] for name in network.outputs] == [(), (3,)]


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_regressors(activation: str) -> None:
    x, _ = _iris()
    _compared(_exported(_regressor(activation=activation), x[:, :3], x[:, 3]), x[:, :3])


@pytest.mark.parametrize("opset", [9, 13, 18])
def test_binary_classifiers(opset: int) -> None:
    """Two probabilities of one output; before operator set 13 softmax and slices are other operators."""
    x, y = _iris()
    _compared(_exported(_classifier(), x, y == 1, target_opset={"": opset, "ai.onnx.ml": 1}), x)


def test_a_map_of_probabilities_is_compared_with_onnxruntime() -> None:
    x, y = _iris()
    model = bitsmith.convert(_exported(_classifier(), x, y), calibration=x, check=True)
    assert "read as onnxruntime computes it" in str(model.fidelity)


@pytest.mark.parametrize("zipmap", [True, False, "columns"])
def test_probabilities_as_a_map_a_matrix_or_columns(zipmap: object) -> None:
    x, y = _iris()
    network = _compared(_exported(_classifier(), x, y * 3 + 5, zipmap), x)
    told = ("ZipMap gives a column for each class: 0 '5', 1 '8', 2 '11'.",) if zipmap is True else ()
    assert network.notes == told


def test_labels_that_are_words_are_positions_and_this_is_told() -> None:
    x, y = _iris()
    proto = _exported(_classifier(), x, np.array(["ash", "birch", "yew"])[y], False)
    model = bitsmith.convert(proto, calibration=x)
    label, probabilities = model.predict(x)
    words, right = _expected(proto, x)
    assert np.array_equal(np.array(["ash", "birch", "yew"])[label.ravel().astype(int)], words)
    np.testing.assert_allclose(probabilities, right, atol=0.01)
    (note,) = model.notes
    assert note == "ArrayFeatureExtractor gives the position of a word, not the word: 0 'ash', 1 'birch', 2 'yew'."


def test_several_labels_at_once() -> None:
    x, y = _iris()
    _compared(_exported(_classifier(), x, np.stack([y == 0, y > 0, y == 2], 1).astype(int), False), x)


def _pipelines() -> dict[str, BaseEstimator]:
    return {
        "standard": make_pipeline(StandardScaler(), _classifier()),
        "minmax": make_pipeline(MinMaxScaler(), _classifier()),
        "robust": make_pipeline(RobustScaler(), _classifier()),
        "normal": make_pipeline(Normalizer(), _classifier()),
        "normal l1": make_pipeline(Normalizer("l1"), _classifier()),
        "selected": make_pipeline(SelectKBest(k=4), StandardScaler(), _classifier()),
        "pca": make_pipeline(StandardScaler(), PCA(3), _classifier()),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    }


@pytest.mark.parametrize("name", list(_pipelines()))
def test_pipelines(name: str) -> None:
    x, y = _wine()
    _compared(_exported(_pipelines()[name], x, y, False), x)


def test_linear_models() -> None:
    x, y = _iris()
    _compared(_exported(LinearRegression(), x[:, :3], x[:, 3]), x[:, :3])
    _compared(_exported(LogisticRegression(), x, y == 0, False), x)
    _compared(_exported(LogisticRegression(), x, np.where(y == 2, 40, -1)), x)


def test_calibrated_precision_keeps_the_labels(tmp_path: Path) -> None:
    x, y = _iris()
    proto = _exported(make_pipeline(StandardScaler(), _classifier()), x, y, False)
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    label, probabilities = bitsmith.convert(tmp_path / "model.onnx", calibration=x).predict(x)
    wanted, right = _expected(proto, x)
    assert np.mean(label.ravel() == wanted) > 0.97
    np.testing.assert_allclose(probabilities, right, atol=0.02)


def test_samples_that_calibration_has_not_seen_keep_their_results() -> None:
    x, y = _wine()
    proto = _exported(make_pipeline(StandardScaler(), _classifier()), x, y, False)
    _, found = bitsmith.convert(proto, calibration=x[::4]).predict(x)
    assert float(np.max(np.abs(found - _expected(proto, x)[-1]))) < 0.01


@pytest.mark.parametrize("scaler", [StandardScaler, MinMaxScaler], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    ("load", "network"),
    [(load_breast_cancer, MLPClassifier), (load_wine, MLPClassifier), (load_diabetes, MLPRegressor)],
    ids=["cancer", "wine", "diabetes"],
)
def test_calibrated_precision_keeps_the_results_of_raw_features(
    load: Callable[..., tuple[Numbers, Numbers]],
    network: type[MLPClassifier | MLPRegressor],
    scaler: type[StandardScaler],
) -> None:
    """Features from 0.05 to 4000 in front of the scaler."""
    classifies = network is MLPClassifier
    x, y = load(return_X_y=True) if classifies else load(return_X_y=True, scaled=False)
    x = x.astype(np.float32)
    pipeline = make_pipeline(scaler(), network(hidden_layer_sizes=(12, 6), max_iter=40, random_state=0))
    proto = _exported(pipeline, x, y if classifies else y / 100, not classifies)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", bitsmith.FidelityWarning)
        results = bitsmith.convert(proto, calibration=x).predict(x)
    right = _expected(proto, x)[-1]
    found = np.asarray(results[-1] if isinstance(results, list) else results)
    same = not classifies or np.array_equal(results[0].ravel(), _expected(proto, x)[0].ravel())
    assert same != bool(told), "a label that two scores nearly alike decide is told"
    assert float(np.max(np.abs(found.reshape(right.shape) - right))) < 0.01


def _words(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes),
        "words",
        [info("x", onnx.TensorProto.FLOAT, [None, 3])],
        [info("y", onnx.TensorProto.STRING, None)],
        [
            helper.make_tensor("words", onnx.TensorProto.STRING, [3], [b"a", b"b", b"c"]),
            helper.make_tensor("first", onnx.TensorProto.INT64, [1], [0]),
        ],
    )
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=imports)


@pytest.mark.parametrize(
    "used", [("Equal", ["picked", "picked"]), ("Cast", ["picked"]), ("Equal", ["words", "words"]), ("Tree", ["picked"])]
)
def test_words_are_no_numbers(used: tuple[str, list[str]]) -> None:
    kind, operands = used
    nodes = [
        helper.make_node("ArgMax", ["x"], ["number"], axis=1),
        helper.make_node("ArrayFeatureExtractor", ["words", "number"], ["picked"], domain="ai.onnx.ml"),
        helper.make_node(
            kind,
            operands,
            ["y"],
            domain="ai.onnx.ml" if kind == "Tree" else "",
            **({"to": 1} if kind == "Cast" else {}),
        ),
    ]
    with pytest.raises(UnsupportedError, match="works on words"):
        read_onnx(_words(*nodes))


def _linear(*more: onnx.NodeProto) -> onnx.ModelProto:
    """A linear model that imports the domain of such models only."""
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node(
            "LinearRegressor", ["x"], ["y"], domain="ai.onnx.ml", coefficients=[0.5, -2.0, 1.0], intercepts=[0.25]
        ),
        *more,
    ]
    graph = helper.make_graph(
        nodes, "linear", [info("x", onnx.TensorProto.FLOAT, [None, 3])], [info("y", onnx.TensorProto.FLOAT, [None, 1])]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3)], ir_version=10)


def test_models_of_classical_operators_alone() -> None:
    _compared(_linear(), np.array([[1, 2, 3], [-4, 0.5, 0]], np.float32))


def test_operators_of_a_domain_that_is_not_imported_are_refused() -> None:
    with pytest.raises(ModelFileError, match="version is not given"):
        read_onnx(_linear(helper.make_node("Relu", ["y"], ["z"])))


def test_words_at_constant_places_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="words at constant indices"):
        read_onnx(_words(helper.make_node("ArrayFeatureExtractor", ["words", "first"], ["y"], domain="ai.onnx.ml")))


def test_other_models_are_refused_by_name() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    with pytest.raises(UnsupportedError, match="give the live estimator"):
        read_onnx(_exported(KNeighborsClassifier(3), *_iris(), zipmap=False))


def test_an_imputer_stays_in_software() -> None:
    x, y = _iris()
    x[0, 1] = np.nan
    model = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)).fit(x, y)
    converted = bitsmith.convert(model, calibration=x[1:])
    labels, _ = converted.predict(x[1:])
    np.testing.assert_array_equal(labels.ravel(), model.predict(x[1:]))
    assert any(f"put 5.84333, {np.nanmean(x[:, 1]):.6g}, 3.758, 1.19933 there" in note for note in converted.notes)


@pytest.mark.parametrize("scaled", [False, True])
def test_only_imputers_of_inputs_stay_in_software(scaled: bool) -> None:
    """A logarithm gives NaN of its own, which an imputer after it replaces."""
    before = (
        helper.make_node("Scaler", ["x"], ["z"], scale=[2.0], domain="ai.onnx.ml")
        if scaled
        else helper.make_node("Log", ["x"], ["z"])
    )
    after = helper.make_node(
        "Imputer", ["z"], ["y"], imputed_value_floats=[1.0], replaced_value_float=float("nan"), domain="ai.onnx.ml"
    )
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [before, after],
        "net",
        [helper.make_tensor_value_info("x", kind, [None, 3])],
        [helper.make_tensor_value_info("y", kind, [None, 3])],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)])
    if scaled:
        x = np.array([[-1.0, 0.25, 3.0]])
        np.testing.assert_array_equal(bitsmith.convert(proto, check=False).predict(x), 2 * x)
    else:
        with pytest.raises(UnsupportedError, match="results of Logarithm that are NaN or infinity"):
            read_onnx(proto)


def test_an_imputer_of_ordinary_numbers_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"an imputer of -1\.0; accepted: one of NaN"):
        read_onnx(_exported(SimpleImputer(missing_values=-1.0), *_iris()))


def test_a_pipeline_may_end_in_a_linear_machine() -> None:
    x, y = _iris()
    model = make_pipeline(Normalizer(), LinearSVC()).fit(x, y)
    labels, _ = bitsmith.convert(model, calibration=x).predict(x)
    np.testing.assert_array_equal(labels.ravel(), model.predict(x))


def test_a_step_that_is_not_exported_is_told_with_what_to_do() -> None:
    model = make_pipeline(FunctionTransformer(np.log1p), LinearRegression()).fit(*_iris())
    with pytest.raises(ModelFileError, match=r"FunctionTransformer is not supported(.|\n)*in software"):
        bitsmith.convert(model)


@pytest.mark.parametrize("unknown", ["error", "ignore"])
def test_codes_of_categories(unknown: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.choice([-3, 0, 1, 7], size=(40, 2))
    encoder = OneHotEncoder(sparse_output=False, handle_unknown=unknown)
    model = make_pipeline(encoder, Ridge()).fit(x, x[:, 0] * x[:, 1])
    z = x if unknown == "error" else rng.integers(-9, 9, size=(40, 2))
    network = read_onnx(skl2onnx.to_onnx(model, x[:1]))
    result = network.evaluate([z])[network.outputs[0]]
    np.testing.assert_allclose(result.ravel(), model.predict(z), atol=1e-5)


def test_what_can_be_done_with_estimators_that_are_rejected(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    classes = (x[:, 0] > 0) + 0
    with pytest.raises(UnsupportedError, match="within CalibratedClassifierCV"):
        read_model(GaussianProcessClassifier(optimizer=None).fit(x, classes))
    model = QuadraticDiscriminantAnalysis().fit(x, classes)
    (tmp_path / "model.onnx").write_bytes(skl2onnx.to_onnx(model, x[:1]).SerializeToString())
    with pytest.raises(UnsupportedError) as caught:
        read_model(tmp_path / "model.onnx")
    assert caught.value.remedy == "give the estimator of scikit-learn itself"
