"""The familiar helper names: configurations from models, example models, and pictures of models."""

from typing import TYPE_CHECKING

from bitsmith.utils.config import (
    config_from_keras_model,
    config_from_onnx_model,
    config_from_pytorch_model,
    config_from_tflite_model,
    create_config,
    of_installed,
)
from bitsmith.utils.example_models import fetch_example_data, fetch_example_list, fetch_example_model
from bitsmith.utils.plot import model_to_dot, plot_model

__all__ = [
    "config_from_keras_model",
    "config_from_onnx_model",
    "config_from_pytorch_model",
    "config_from_tflite_model",
    "create_config",
    "fetch_example_data",
    "fetch_example_list",
    "fetch_example_model",
    "model_to_dot",
    "plot_model",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # which would take any name for one of a framework
    __getattr__ = of_installed
