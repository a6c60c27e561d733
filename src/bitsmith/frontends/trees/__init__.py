"""Readers of scikit-learn and of libraries of decision trees, whose layer is `Trees`."""

LIGHTGBM_MARK = b"tree\nversion="
"""The first bytes of a text of LightGBM."""

YDF_FILE = "data_spec.pb"
"""A file in the folder of each model of YDF."""

YDF_MARK = b"\0YDF"
"""The mark of such a folder in place of first bytes."""
