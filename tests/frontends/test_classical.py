"""Support vector machines, neighbors, transformers and pipelines of scikit-learn, against scikit-learn and onnxruntime."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn import (
    decomposition,
    ensemble,
    gaussian_process,
    kernel_ridge,
    linear_model,
    neighbors,
    neural_network,
    preprocessing,
    svm,
)
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.gaussian_process import kernels
from sklearn.pipeline import make_pipeline
from tests.properties import few, judged

import bitsmith
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.read import read_model

Numbers = npt.NDArray[Any]

KERNELS = ("rbf", "poly", "sigmoid", "linear")
MACHINES = (svm.SVC, svm.NuSVC, svm.SVR, svm.NuSVR, svm.OneClassSVM)


def _evaluated(model: object, x: Numbers) -> list[Numbers]:
    network = read_model(model)
    results = network.evaluate([x.astype(np.float64)])
    return [results[name] for name in network.outputs]


def _machine(seed: int) -> tuple[Any, Numbers, onnx.ModelProto]:
    """A fitted machine, samples, and its export."""
    rng = np.random.default_rng(seed)
    x, kind = rng.normal(size=(80, 3)).astype(np.float32), MACHINES[seed % 5]
    kernel = "rbf" if kind is svm.NuSVC else KERNELS[seed % 4]  # large coefficients of its polynomials cancel out
    options = {"kernel": kernel, "degree": int(rng.integers(2, 4)), "coef0": float(rng.choice([0.0, 0.5]))}
    model = kind(**options, **({"nu": 0.1} if kind is svm.NuSVC else {}))
    edges = np.linspace(-1, 1, int(rng.integers(1, 4)))
    classes = np.digitize(x[:, 0] * x[:, 1] + x[:, 2], edges) * 2 + 1
    targets = classes if kind in (svm.SVC, svm.NuSVC) else x[:, 0]
    model.fit(x, *([] if kind is svm.OneClassSVM else [targets]))
    return model, rng.normal(size=(300, 3)).astype(np.float32), _exported(model, x)


def _exported(model: Any, x: Numbers) -> onnx.ModelProto:
    options = {"zipmap": False} if isinstance(model, svm.SVC | svm.NuSVC) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn about attributes that skl2onnx reads
        proto: onnx.ModelProto = to_onnx(model, x[:1], options=options)
    return proto


@few("seed", range(60), 20)
def test_machines(seed: int) -> None:
    model, x, proto = _machine(seed)
    outputs, wanted = _evaluated(model, x), model.predict(x)
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(outputs[0].ravel(), wanted)
        scores = model.decision_function(x)
        _close(outputs[1] if scores.ndim > 1 else outputs[1][:, 0], scores)
    else:
        _close(outputs[0], wanted)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for own, result in zip(_evaluated(proto, x), session.run(None, {"X": x}), strict=True):
        if result.dtype.kind == "f":  # its labels at ties are others
            _close(own, result)


def _close(outputs: Numbers, wanted: Numbers) -> None:
    """Check numbers, whose coefficients the export has in single precision."""
    np.testing.assert_allclose(outputs.reshape(wanted.shape), wanted, atol=1e-4 * max(1.0, np.abs(wanted).max()))


def test_probabilities_of_two_classes_are_those_of_the_fitted_odds() -> None:
    x = np.random.default_rng(3).normal(size=(80, 2)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn says that others take this option's place
        model = svm.SVC(probability=True, random_state=0).fit(x, np.where(x[:, 0] > 0.3, 5, 2))
        slope, offset = model.probA_, model.probB_
    label, shares = _evaluated(model, x)
    np.testing.assert_array_equal(label.ravel(), model.predict(x))
    _close(shares[:, 0], 1 / (1 + np.exp(offset - slope * model.decision_function(x))))
    np.testing.assert_allclose(shares, model.predict_proba(x), atol=0.01)  # libsvm's iteration ends 0.0025 early


@few("seed", range(30), 6)
def test_transformers_by_powers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.exp(rng.normal(size=(60, 3), scale=0.7)).astype(np.float32)
    method = ("yeo-johnson", "box-cox")[seed % 2]
    x = x if seed % 2 else x - rng.normal(size=3).astype(np.float32)
    model = preprocessing.PowerTransformer(method=method, standardize=seed % 3 > 0).fit(x)
    model.lambdas_[0] = rng.choice([model.lambdas_[0], 0.0, 2.0])
    wanted = model.transform(x)
    _close(_evaluated(model, x)[0], wanted)
    around = make_pipeline(
        preprocessing.StandardScaler(), preprocessing.PowerTransformer(), linear_model.LinearRegression()
    )
    around.fit(x, x[:, 0] * x[:, 1])
    _close(_evaluated(around, x)[0], around.predict(x))
    trees = make_pipeline(model, ensemble.RandomForestRegressor(4, random_state=0)).fit(x, x[:, 0])
    far = np.abs(_evaluated(trees, x)[0].ravel() - trees.predict(x)) > 1e-4  # decided otherwise, at a threshold
    assert far.mean() < 0.1


@few("seed", range(30), 6)
def test_gaussian_processes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(int(rng.integers(5, 25)), 3)).astype(np.float32)
    parts = kernels.RBF(1.3), kernels.Matern(0.8, nu=(0.5, 1.5)[seed % 2]), kernels.RBF([1.0, 2.0, 0.5])
    kernel = kernels.ConstantKernel(1.5) * parts[seed // 3 % 3] + kernels.WhiteKernel(0.1)
    model = gaussian_process.GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None, normalize_y=seed % 2 == 0)
    model.fit(x, np.sin(x[:, 0]) + x[:, 1])
    z = rng.normal(size=(50, 3)).astype(np.float32)
    _close(_evaluated(model, z)[0], model.predict(z))


@few("seed", range(24), 8)
def test_kernel_ridge(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(int(rng.integers(5, 40)), 3))
    options = {"gamma": None if seed % 3 else 0.2, "coef0": float(rng.choice([0.0, 1.0])), "degree": 2 + seed % 2}
    model = kernel_ridge.KernelRidge(50.0, kernel=(*KERNELS, "polynomial")[seed % 5], **options)
    targets = np.stack([np.sin(x[:, 0]) + x[:, 1], x[:, 2]], 1)
    model.fit(x, targets if seed % 2 else targets[:, 0])
    z = rng.normal(size=(50, 3))
    np.testing.assert_allclose(_evaluated(model, z)[0], model.predict(z).reshape(50, -1), atol=1e-9)
    scaled = make_pipeline(SCALED(), model).fit(x, targets)
    _close(_evaluated(scaled, z.astype(np.float32))[0], scaled.predict(z))


def test_other_kernels_of_ridges_are_named() -> None:
    x = np.eye(4)
    with pytest.raises(UnsupportedError, match="the kernel 'laplacian'"):
        read_model(kernel_ridge.KernelRidge(kernel="laplacian").fit(x, x[:, 0]))
    large = np.random.default_rng(0).normal(size=(4097, 1))
    machine = kernel_ridge.KernelRidge(kernel="linear").fit(large[:9], large[:9, 0])
    machine.set_params(kernel="rbf").X_fit_, machine.dual_coef_ = large, large[:, 0]
    with pytest.raises(UnsupportedError, match="4097 samples to compare with"):
        read_model(machine)


def test_components_of_kernels() -> None:
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    model = decomposition.KernelPCA(2, kernel="rbf", gamma=0.3).fit(x)
    _close(_evaluated(model, x[:9])[0], model.transform(x[:9]))


Change = Callable[[dict[str, Any]], object]

WRONG: dict[str, tuple[Change, type[BitsmithError], str]] = {
    "a kernel": (lambda own: own.update(kernel_type="COSINE"), UnsupportedError, "the kernel 'COSINE'"),
    "vectors": (lambda own: own["support_vectors"].append(0.5), ModelFileError, "numbers of support vectors"),
    "coefficients": (lambda own: own["coefficients"].append(0.5), ModelFileError, "coefficients for"),
    "pairs": (lambda own: own["rho"].append(0.5), ModelFileError, "coefficients for"),
    "probabilities": (lambda own: own.update(prob_a=[1.0] * 3, prob_b=[1.0] * 3), UnsupportedError, "CalibratedClass"),
    "classes": (lambda own: own["vectors_per_class"].append(1), ModelFileError, "coefficients for"),
    "no labels": (lambda own: own.pop("classlabels_ints"), ModelFileError, "no labels"),
}


@pytest.mark.parametrize("name", WRONG)
def test_damaged_machines(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    proto = _exported(svm.SVC().fit(x, x[:, 0] > 0), x)
    node = next(node for node in proto.graph.node if node.op_type == "SVMClassifier")
    attributes = {own.name: helper.get_attribute_value(own) for own in node.attribute}
    attributes = {
        key: list(value) if not isinstance(value, bytes | int) else value for key, value in attributes.items()
    }
    change, error, words = WRONG[name]
    change(attributes)
    made = helper.make_node(node.op_type, node.input, node.output, domain=node.domain, **attributes)
    node.CopyFrom(made)
    with pytest.raises(error, match=words):
        read_model(proto)


X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)
REAL, TARGET = (part.astype(np.float32) for part in load_diabetes(return_X_y=True))

SCALED = preprocessing.StandardScaler


@few("seed", range(40), 8)
def test_neighbors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, count = rng.normal(size=(int(rng.integers(6, 60)), 3)).astype(np.float32), int(rng.integers(1, 6))
    z = rng.normal(size=(200, 3)).astype(np.float32)
    kinds = np.array([["b", "a", "d"], [5, 2, 9]][seed % 2])[np.digitize(x[:, 0], [-0.5, 0.5])]
    model = neighbors.KNeighborsClassifier(count, algorithm="brute").fit(x, kinds)
    label, shares = _evaluated(model, z)
    numbers = np.searchsorted(model.classes_, model.predict(z)) if seed % 2 == 0 else model.predict(z)
    np.testing.assert_array_equal(label.ravel(), numbers)
    np.testing.assert_allclose(shares, model.predict_proba(z))
    targets = np.stack([x[:, 0], x[:, 1] * x[:, 2]], 1)
    regressor = neighbors.KNeighborsRegressor(count).fit(x, targets[:, : 1 + seed % 2])
    np.testing.assert_allclose(_evaluated(regressor, z)[0], regressor.predict(z).reshape(len(z), -1), atol=1e-6)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "weights": (lambda: neighbors.KNeighborsClassifier(weights="distance").fit(X, Y), "with weights 'distance'"),
    "a distance": (lambda: neighbors.KNeighborsRegressor(p=1).fit(X, Y), "the distance 'manhattan'"),
    "a large set": (lambda: neighbors.KNeighborsRegressor().fit(np.zeros((5000, 2)), np.zeros(5000)), "5000 samples"),
}


def test_neighbors_among_as_many_samples_as_there_may_be() -> None:
    x = np.random.default_rng(0).normal(size=(4097, 2))
    found = _evaluated(neighbors.KNeighborsRegressor(1).fit(x[:-1], x[:-1, 0]), x[-3:-1])
    np.testing.assert_allclose(found[0].ravel(), x[-3:-1, 0])
    with pytest.raises(UnsupportedError, match="at most 4096"):
        read_model(neighbors.KNeighborsRegressor(1).fit(x, x[:, 0]))


@pytest.mark.parametrize("name", REFUSED)
def test_other_neighbors_are_named(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(UnsupportedError, match=words):
        read_model(make())


TRANSFORMERS = {
    "PCA": decomposition.PCA(2),
    "whitened": decomposition.PCA(3, whiten=True),
    "singular values": decomposition.TruncatedSVD(2),
    "standard": SCALED(),
    "least and most": preprocessing.MinMaxScaler(),
    "robust": preprocessing.RobustScaler(),
    "largest": preprocessing.MaxAbsScaler(),
    "norm": preprocessing.Normalizer(),
    "polynomials": preprocessing.PolynomialFeatures(2),
    "bins": preprocessing.KBinsDiscretizer(4, encode="ordinal"),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str) -> None:
    model = TRANSFORMERS[name].fit(X)
    np.testing.assert_allclose(_evaluated(model, X)[0], model.transform(X), rtol=1e-5, atol=1e-5)


PIPELINES = {
    "histograms": make_pipeline(SCALED(), ensemble.HistGradientBoostingClassifier(max_iter=3)),
    "outliers": make_pipeline(SCALED(), ensemble.IsolationForest(n_estimators=5, random_state=0)),
    "outliers among neighbors": make_pipeline(SCALED(), neighbors.LocalOutlierFactor(5, novelty=True)),
    "neighbors of components": make_pipeline(SCALED(), decomposition.PCA(2), neighbors.KNeighborsClassifier(3)),
    "trees alone": make_pipeline(ensemble.RandomForestClassifier(4, random_state=0)),
    "machine of components": make_pipeline(SCALED(), decomposition.PCA(2), svm.SVC()),
    "linear": make_pipeline(preprocessing.MinMaxScaler(), linear_model.LogisticRegression()),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines(name: str) -> None:
    model = PIPELINES[name].fit(X, Y)
    outputs = _evaluated(model, X)
    np.testing.assert_array_equal(outputs[0].ravel(), model.predict(X))
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(outputs[1], model.predict_proba(X), atol=1e-6)


def test_features_of_unlike_scales_that_trees_read_scaled(tmp_path: Path) -> None:
    """Where the circuit has no scaled features it shows none; nothing is told of errors, but of decisions."""
    x, classes = load_wine(return_X_y=True)
    forest = ensemble.RandomForestClassifier(3, max_depth=3, random_state=0)
    model = bitsmith.convert(make_pipeline(SCALED(), forest).fit(x, classes), tmp_path, calibration=x)
    np.testing.assert_array_equal(
        model.predict(x)[0].ravel(), make_pipeline(SCALED(), forest).fit(x, classes).predict(x)
    )
    assert [row.layer for row in model.fidelity.rows] == ["features", "trees", "label"]
    assert any("could change a decision" in sentence for sentence in model.fidelity.words)


CIRCUITS: dict[str, tuple[Any, Numbers, Numbers]] = {
    "machine": (make_pipeline(SCALED(), svm.SVC()), X[::4], Y[::4]),
    "machine, real": (make_pipeline(SCALED(), svm.SVR(C=50.0)), REAL[:60], TARGET[:60]),
    "neighbors": (neighbors.KNeighborsClassifier(3), X[::9], Y[::9]),
    "neighbors, real": (neighbors.KNeighborsRegressor(4), REAL[:30], TARGET[:30]),
    "components": (decomposition.PCA(2), X, Y),
    "ridge": (make_pipeline(SCALED(), kernel_ridge.KernelRidge(0.5, kernel="rbf")), REAL[:60], TARGET[:60]),
}


@pytest.mark.parametrize("name", [judged(name) for name in CIRCUITS])
def test_circuits(name: str, tmp_path: Path) -> None:
    estimator, x, y = CIRCUITS[name]
    model, data = estimator.fit(x, y), {"machine": X, "neighbors": X}.get(name, x)
    circuit = bitsmith.convert(model, tmp_path, calibration=data)
    outputs = circuit.predict(data)
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(outputs[0].ravel(), model.predict(data))
    else:
        wanted = model.predict(data) if hasattr(model, "predict") else model.transform(data)
        np.testing.assert_allclose(outputs.reshape(wanted.shape), wanted, atol=2e-3 * np.abs(wanted).max())
    assert not circuit.fidelity.agreement.problem


@pytest.mark.slow
@pytest.mark.ci
def test_neighbors_in_a_circuit(tmp_path: Path) -> None:
    model = bitsmith.convert(neighbors.KNeighborsClassifier(2).fit(X[::15], Y[::15]), tmp_path, calibration=X)
    report = model.build(inputs=X, synth=False)
    assert report["Verification"]["Mismatches"] == 0


@few("seed", [0, judged(1), judged(2), *range(3, 12)], 1)
def test_more_neighbors_cost_little(seed: int, tmp_path: Path) -> None:
    """The circuit has the library's classes and means, of as many neighbors as there may be."""
    rng = np.random.default_rng(seed)
    x, z = (rng.normal(size=(size, 3)).astype(np.float32) for size in (40, 300))
    counts = [1, 2, 3, 5, 7, 9]
    kinds = np.digitize(x[:, 0], [-0.5, 0.5])
    sizes = []
    for count in counts[seed % 2 :: 2]:
        model = neighbors.KNeighborsClassifier(count).fit(x, kinds)
        circuit = bitsmith.convert(model, tmp_path, calibration=x, bits=20, check=False, part="xcvu9p-flga2104-2-e")
        found, wanted = circuit.predict(z)[0].ravel(), model.predict(z)
        assert np.mean(found == wanted) >= 0.99, count
        sizes.append(circuit.estimate().size.lut)
    assert max(sizes) < 4 * min(sizes)


ENCODERS: dict[str, dict[str, Any]] = {
    "integers": {"keys_int64s": [-2, 5, 3], "values_int64s": [7, 0, 9]},
    "integers, with another": {"keys_int64s": [-2, 5, 3], "values_int64s": [7, 0, 9], "default_int64": 4},
    "numbers": {"keys_int64s": [0, 1, 4], "values_floats": [0.5, -1.25, 3.0], "default_float": 0.75},
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("shape", [(1,), (3,)])
def test_numbers_that_stand_for_integers(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    """Also for integers beyond all keys."""
    options, x = ENCODERS[name], np.arange(-9, 9).repeat(3).reshape(-1, *shape)
    kind = TensorProto.INT64 if "values_int64s" in options else TensorProto.FLOAT
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", **options)
    ends = [helper.make_tensor_value_info(at, of, ["N", *shape]) for at, of in (("x", TensorProto.INT64), ("y", kind))]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    proto = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:]), opset_imports=opsets, ir_version=8)
    (wanted,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    np.testing.assert_array_equal(_evaluated(proto, x)[0], wanted)
    model = bitsmith.convert(proto, tmp_path, calibration=x)
    np.testing.assert_array_equal(model.predict(x).reshape(wanted.shape), wanted)


def test_encoders_of_words_are_rejected() -> None:
    x = np.zeros((1, 1), np.int64)
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_int64s=[1], values_strings=["a"])
    ends = [helper.make_tensor_value_info("x", TensorProto.INT64, x.shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.STRING, x.shape)]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    with pytest.raises(UnsupportedError, match="an encoder of words"):
        read_model(helper.make_model(helper.make_graph([node], "g", ends, outputs), opset_imports=opsets))


@few("seed", range(6), 1)
def test_exported_isolation_forests_find_the_same_outliers(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    x, z = (rng.normal(size=(size, 3)).astype(np.float32) for size in (150, 400))
    share = ["auto", 0.1][seed % 2]
    model = ensemble.IsolationForest(n_estimators=3, max_samples=16, contamination=share, random_state=seed).fit(x)
    (tmp_path / "forest.onnx").write_bytes(
        to_onnx(model, x[:1], target_opset={"": 17, "ai.onnx.ml": 3}).SerializeToString()
    )
    labels, scores = _evaluated(tmp_path / "forest.onnx", z)
    clear = np.abs(model.decision_function(z)) > 1e-6  # the export has the border in single precision
    np.testing.assert_array_equal(labels.ravel()[clear], model.predict(z)[clear])
    np.testing.assert_allclose(scores.ravel(), model.decision_function(z), atol=1e-6)
    if share != "auto":  # samples lie on the border, where the last place decides in the export
        return
    circuit = bitsmith.convert(tmp_path / "forest.onnx", tmp_path / "out", calibration=x)
    found = circuit.predict(x)
    wanted = model.decision_function(x)
    clear = np.abs(wanted) > 1e-3
    np.testing.assert_array_equal(found[0].ravel()[clear], model.predict(x)[clear])
    np.testing.assert_allclose(found[1].ravel(), wanted, atol=1e-3)


def _mixed(name: str) -> Any:
    """Trees beside a network, and before one."""
    forest = ensemble.RandomForestClassifier(4, max_depth=3, random_state=0)
    network = neural_network.MLPClassifier((5,), max_iter=150, random_state=0)
    final = {"trees beside a network": linear_model.LogisticRegression(), "trees before a network": network}
    if name == "votes":
        return ensemble.VotingClassifier([("a", forest), ("b", network)], voting="soft", flatten_transform=False)
    parts = [("trees", forest), ("network", network)][: 2 if "beside" in name else 1]
    return ensemble.StackingClassifier(parts, final[name], cv=2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", [*map(judged, ("trees beside a network", "trees before a network", "votes"))])
def test_trees_and_networks_in_one_model(name: str, tmp_path: Path) -> None:
    x = SCALED().fit_transform(X).astype(np.float32)
    model = _mixed(name).fit(x, Y)
    label, shares = bitsmith.convert(model, tmp_path, calibration=x).predict(x)
    np.testing.assert_array_equal(label.ravel(), model.predict(x))
    np.testing.assert_allclose(shares, model.predict_proba(x), atol=2e-3)


@pytest.mark.slow
@pytest.mark.ci
def test_trees_after_a_network_of_another_library(tmp_path: Path) -> None:
    """A circuit of two, beside the two, and simulated."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU()).eval()
    network = bitsmith.convert(module, tmp_path / "a", input_shape=(4,), calibration=X)
    features = network.predict(X).astype(np.float32)
    forest = ensemble.RandomForestClassifier(4, max_depth=3, random_state=0).fit(features, Y)
    trees = bitsmith.convert(forest, tmp_path / "b", calibration=features)
    (source,), (reader,) = network.get_output_variables(), trees.get_input_variables()
    parts = {"network": network, "trees": trees}
    whole = bitsmith.compose(parts, {f"trees.{reader.name}": f"network.{source.name}"}, tmp_path / "c")
    np.testing.assert_array_equal(whole.predict(X)[0].ravel(), forest.predict(features))
    assert whole.build(inputs=X[::10], synth=False)["Verification"]["Mismatches"] == 0


class _Hashed(ensemble.RandomTreesEmbedding):
    """Another class whose results are leaves, not sums of what these have."""


def test_forests_without_predictions_are_no_sums_of_leaves() -> None:
    model = _Hashed(3, max_depth=2, random_state=0).fit(load_iris().data)
    with pytest.raises(ModelFileError, match="cannot export a _Hashed"):
        read_model(model)
