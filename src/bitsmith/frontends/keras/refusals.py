"""Keras layers that are not translated: the reason and the nearest thing that works."""

from __future__ import annotations

from bitsmith.frontends.builder.refusals import Refusal

_REMEDIES = {
    "Lambda": (
        "it holds Python code, which is not part of the file",
        "replace it by built-in layers or keras.ops, which are saved as such",
    ),
    "TFOpLambda": (
        "TensorFlow operations are not read",
        "use the layers Add, Multiply, Rescaling, Activation, ... instead",
    ),
    "TensorFlowOpLayer": (
        "TensorFlow operations are not read",
        "use the layers Add, Multiply, Rescaling, Activation, ... instead",
    ),
    "Masking": ("masks are not translated", "pad with values that the network was trained to ignore"),
    "QDense": ("quantized layers are not read", "use Dense, and give the quantiser's precision in the configuration"),
    "QActivation": (
        "quantized layers are not read",
        "use Activation, and give the quantiser's precision in the configuration",
    ),
}

_KINDS = (
    ("ConvLSTM", "convolutions within a recurrence are not translated", "use convolutions along the time axis too"),
    (
        "QConv",
        "quantized layers are not read",
        "use the layer of Keras, and give the quantiser's precision in the configuration",
    ),
    (
        "Conv",
        "this kind of convolution is not translated",
        "use Conv, DepthwiseConv, SeparableConv or ConvTranspose layers",
    ),
    (
        "CuDNN",
        "its weights are laid out for another library",
        "load the model with Keras as LSTM or GRU and save it again",
    ),
    ("LSTM", "this kind of recurrent layer is not translated", "use SimpleRNN, LSTM, GRU, or RNN with their cells"),
    ("GRU", "this kind of recurrent layer is not translated", "use SimpleRNN, LSTM, GRU, or RNN with their cells"),
    ("RNN", "this kind of recurrent layer is not translated", "use SimpleRNN, LSTM, GRU, or RNN with their cells"),
    ("Attention", "this kind of attention is not translated", "use MultiHeadAttention, Attention or AdditiveAttention"),
)


def unknown(name: str, class_name: str, custom: bool) -> Refusal:
    """A class that no table has."""
    if custom and class_name not in _REMEDIES:
        return Refusal(
            name, class_name, "a custom layer, whose code is not part of the file", "replace it by built-in layers"
        )
    if class_name in _REMEDIES:
        return Refusal(name, class_name, *_REMEDIES[class_name])
    for part, why, remedy in _KINDS:
        if part in class_name:
            return Refusal(name, class_name, why, remedy)
    return Refusal(name, class_name, "it is not a layer that is known here", "replace it by layers that are")
