"""Keras runs on jax here; the backend must be chosen before the first import."""

import os

os.environ["KERAS_BACKEND"] = "jax"
