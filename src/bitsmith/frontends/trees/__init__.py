"""Readers of scikit-learn and of libraries of decision trees, whose layer is `Trees`."""

LIGHTGBM_MARK = b"tree\nversion="
"""The first bytes of a text of LightGBM."""

XGBOOST_MARK = b"{L\0\0\0\0\0\0\0\7learner"
"""The first bytes of binary JSON of XGBoost."""
