"""What is said about Keras layers that are not translated: the reason and the nearest thing that works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.errors import UnsupportedError

_SHOWN = 50
"""Most layers that one message lists."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A layer that cannot be translated: its class, or, where that is known, something that it asks for."""

    name: str
    class_name: str
    why: str
    remedy: str
    class_known: bool = False

    @property
    def reason(self) -> str:
        """All but the name."""
        line = f"({self.class_name}): {self.why}"
        return f"{line}; {self.remedy}" if self.remedy else line


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
    "GroupQueryAttention": ("query heads that share key heads are not translated", "use MultiHeadAttention"),
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
    return Refusal(name, class_name, "it is no layer that is known here", "replace it by layers that are")


def refused(name: str, class_name: str, error: UnsupportedError) -> Refusal:
    """A layer whose class is known, but not what its configuration asks for."""
    hints = [f"accepted: {error.accepted}"] if error.accepted else []
    remedy = "; ".join([*hints, *([error.remedy] if error.remedy else [])])
    return Refusal(name, class_name, error.found, remedy, class_known=True)


def refusal_error(refusals: Sequence[Refusal], where: str, accepted: str) -> UnsupportedError:
    """One error for all layers that cannot be translated; those of one class and reason share a line.

    ``accepted``, the list of classes, follows where a class is not known.
    """
    named: dict[str, list[str]] = {}
    for refusal in refusals[:_SHOWN]:
        named.setdefault(refusal.reason, []).append(refusal.name)
    lines = [f"{', '.join(names)} {reason}" for reason, names in named.items()]
    if len(refusals) > _SHOWN:
        lines.append(f"and {len(refusals) - _SHOWN} more")
    classes = "" if all(refusal.class_known for refusal in refusals) else accepted
    noun = "layer" if len(refusals) == 1 else "layers"
    return UnsupportedError(
        "\n    ".join([f"{len(refusals)} {noun} cannot be translated", *lines]), where=where, accepted=classes
    )
