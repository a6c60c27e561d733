"""Readers of the libraries of decision trees: scikit-learn, XGBoost and LightGBM. The layer that they make is `Trees`."""

LIGHTGBM_MARK = b"tree\nversion="
"""The first bytes of a text of LightGBM."""
