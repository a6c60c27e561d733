"""Keras layers that are not translated: the reason and the nearest thing that works."""

from __future__ import annotations

from bitsmith.frontends.builder.refusals import Refusal

_QUANTIZED = (
    "quantized layers are not read",
    "use the layer of Keras, and give the quantizer's precision in the configuration",
)
_TENSORFLOW = ("TensorFlow operations are not read", "use the layers Add, Multiply, Rescaling, Activation, ... instead")
_RECURRENT = ("this kind of recurrent layer is not translated", "use SimpleRNN, LSTM, GRU, or RNN with their cells")

_REASONS = {
    "TFOpLambda": _TENSORFLOW,
    "TensorFlowOpLayer": _TENSORFLOW,
    "Lambda": (
        "it holds Python code, which is not part of the file",
        "replace it by built-in layers or keras.ops, which are saved as such",
    ),
    "Masking": ("masks are not translated", "pad with values that the network was trained to ignore"),
    "QDense": _QUANTIZED,
    "QActivation": _QUANTIZED,
    "QConv": _QUANTIZED,
    "ConvLSTM": ("convolutions within a recurrence are not translated", "use convolutions along the time axis too"),
    "Conv": (
        "this kind of convolution is not translated",
        "use Conv, DepthwiseConv, SeparableConv or ConvTranspose layers",
    ),
    "CuDNN": (
        "its weights are laid out for another library",
        "load the model with Keras as LSTM or GRU and save it again",
    ),
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
    "Attention": ("this kind of attention is not translated", "use MultiHeadAttention, Attention or AdditiveAttention"),
}
"""What is said of a class that has the text in its name, the first that fits."""

_CUSTOM = ("a custom layer, whose code is not part of the file", "replace it by built-in layers")
_UNKNOWN = ("it is not a layer that is known here", "replace it by layers that are")


def unknown(name: str, class_name: str, custom: bool) -> Refusal:
    """A class that no table has."""
    reason = next((reason for part, reason in _REASONS.items() if part in class_name), _UNKNOWN)
    return Refusal(name, class_name, *(_CUSTOM if custom and reason is not _QUANTIZED else reason))
