# %% [markdown]
# # Trees
#
# A forest becomes a circuit that decides as the forest does, on every sample, with a result in each clock cycle. Needs
# `scikit-learn`, `treelite` and `matplotlib`.

# %%
import matplotlib.pyplot as plt
import numpy as np
import treelite
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split

import bitsmith

features, labels = load_breast_cancer(return_X_y=True)
parts = train_test_split(features.astype(np.float32), labels, test_size=200, random_state=0)
x, test, y, truth = parts

# %% [markdown]
# ## A forest as it is
#
# Give `convert` the estimator and the samples that it was trained on. Each feature gets a format of its own, whose steps are fine
# enough that no sample changes sides of a threshold.

# %%
forest = RandomForestClassifier(10, max_depth=4, random_state=0).fit(x, y)
model = bitsmith.convert(forest, "forest", calibration=x)
classes, probabilities = model.predict(test)

print(f"{np.mean(classes == forest.predict(test)):.0%} of the test samples have the forest's class")
print(f"probabilities differ by {np.abs(probabilities - forest.predict_proba(test)).max():.5f} at most")
print(f"accuracy {np.mean(classes == truth):.1%}")
print(model.estimate())

# %% [markdown]
# Other samples may lie within half a step of a threshold, and then take the other branch: so a few probabilities differ.
# Where one differs by more than 1 %, `predict` says so. Samples that are calibrated with stay on their sides, so give all that
# you have: labels are not needed.
#
# Trees share comparisons, and decisions that earlier ones have settled are left out.

# %%
decisions = sum(tree.tree_.node_count - tree.tree_.n_leaves for tree in forest.estimators_)
print(f"{decisions} decisions in {len(forest.estimators_)} trees")
print(model)

# %% [markdown]
# ## How deep, and how many
#
# Estimates take well under a second, so that you can draw what a deeper forest costs and brings.

# %%
everything = np.concatenate([x, test])
figure, axes = plt.subplots(figsize=(6, 3.5))
for depth in (2, 3, 4, 6):
    sizes, scores = [], []
    for trees in (2, 5, 10, 20):
        each = RandomForestClassifier(trees, max_depth=depth, random_state=0).fit(x, y)
        circuit = bitsmith.convert(each, calibration=everything, check=False)
        sizes.append(circuit.estimate().size.lut)
        scores.append(np.mean(circuit.predict(test)[0] == truth))
    axes.plot(sizes, scores, "o-", label=f"depth {depth}")
axes.set(xlabel="look-up tables (estimate)", ylabel="accuracy")
axes.legend()
plt.show()

# %% [markdown]
# ## Gradient boosting
#
# Scores are sums of leaves. Leaves have 16 bits unless `bits` says otherwise; decisions do not depend on it.

# %%
boosted = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8, random_state=0).fit(x, y)
for bits in (None, 8, 7):
    narrow = bitsmith.convert(boosted, "boosted", calibration=everything, check=False, bits=bits)
    same = np.mean(narrow.predict(test)[0] == boosted.predict(test))
    print(f"leaves of {bits or 16} bits: {narrow.estimate().size.lut:,} LUT, {same:.1%} of classes equal")

# %% [markdown]
# ## Other libraries
#
# Models of XGBoost, LightGBM, CatBoost and YDF convert in the same way, live or from their files of JSON and text. treelite is a
# common form of all of them: what it has imported converts, too. Its results are the probabilities that it predicts itself.

# %%
exchanged = treelite.sklearn.import_model(forest)
again = bitsmith.convert(exchanged, "exchanged", calibration=x)
probable = treelite.gtil.predict(exchanged, test).reshape(len(test), -1)
same = np.mean(again.predict(test).argmax(axis=1) == probable.argmax(axis=1))
print(f"{same:.0%} of the test samples have treelite's class")

# %% [markdown]
# ## Trees that take turns
#
# A large forest need not give a result in every cycle. With a reuse factor its trees take turns: memories have their nodes, and
# a few walkers read these.

# %%
large = RandomForestClassifier(100, max_depth=8, random_state=0).fit(x, y)
for reuse in (1, 100):
    config = {"Model": {"ReuseFactor": reuse}}
    folded = bitsmith.convert(large, "folded", config, calibration=x, check=False)
    same = np.mean(folded.predict(test)[0] == large.predict(test))
    print(f"reuse factor {reuse}: {same:.0%} of classes equal")
    print(folded.estimate())

# %% [markdown]
# ## Simulate it
#
# The build simulates the circuit and compares each class and each bit of the probabilities with the emulator.

# %%
report = model.build(inputs=test[:50], synth=False)
print(report["Verification"])

# %% [markdown]
# More: [trees of all libraries](../scikit-learn.md).
