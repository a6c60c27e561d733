"""Keras runs on jax here; the backend must be chosen before the first import."""

import os

os.environ["KERAS_BACKEND"] = "jax"
# Models run once or twice: compiling each shape costs far more than the optimized code would save.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
