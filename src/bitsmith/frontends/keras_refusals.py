"""What is said about Keras layers that are not translated: the reason and the nearest thing that works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.errors import UnsupportedError

_SHOWN = 50
"""Most layers that one message lists."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A layer that cannot be translated."""

    name: str
    class_name: str
    why: str
    remedy: str

    @property
    def reason(self) -> str:
        """All but the name."""
        line = f"({self.class_name}): {self.why}"
        return f"{line}; {self.remedy}" if self.remedy else line


_REMEDIES = {
    "Lambda": ("it holds Python code, which is not part of the file",
               "replace it by built-in layers or keras.ops, which are saved as such"),
    "TFOpLambda": ("TensorFlow operations are not read", "use the layers Add, Multiply, Rescaling, Activation, ... instead"),
    "TensorFlowOpLayer": ("TensorFlow operations are not read",
                          "use the layers Add, Multiply, Rescaling, Activation, ... instead"),
    "Masking": ("masks are not translated", "pad with values that the network was trained to ignore"),
    "Embedding": ("look-up layers are not translated", "use one-hot inputs and a Dense layer without bias"),
    "TimeDistributed": ("wrappers are not translated",
                        "use Dense directly, which acts on the last axis of an input of any rank"),
    "QDense": ("quantised layers are not read", "use Dense, and give the quantiser's precision in the configuration"),
    "QActivation": ("quantised layers are not read", "use Activation, and give the quantiser's precision in the configuration"),
}  # fmt: skip

_KINDS = (
    ("ConvLSTM", "convolutions within a recurrence are not translated", "use convolutions along the time axis too"),
    (
        "QConv",
        "quantised layers are not read",
        "use the layer of Keras, and give the quantiser's precision in the configuration",
    ),
    (
        "Conv",
        "this kind of convolution is not translated",
        "use Conv, DepthwiseConv, SeparableConv or ConvTranspose layers",
    ),
    ("LSTM", "recurrent layers are not translated", "use Flatten and Dense on a window of fixed length"),
    ("GRU", "recurrent layers are not translated", "use Flatten and Dense on a window of fixed length"),
    ("RNN", "recurrent layers are not translated", "use Flatten and Dense on a window of fixed length"),
    ("Attention", "attention is not translated", "use Dense layers and Dot"),
)


def unknown(name: str, class_name: str, custom: bool) -> Refusal:
    """A class that no table has."""
    if custom and class_name not in _REMEDIES:
        return Refusal(name, class_name, "a custom layer, whose code is not part of the file",
                       "replace it by built-in layers")  # fmt: skip
    if class_name in _REMEDIES:
        return Refusal(name, class_name, *_REMEDIES[class_name])
    for part, why, remedy in _KINDS:
        if part in class_name:
            return Refusal(name, class_name, why, remedy)
    return Refusal(name, class_name, "it is no layer that is known here", "replace it by layers that are")


def refused(name: str, class_name: str, error: UnsupportedError) -> Refusal:
    """A layer whose class is known, but not what its configuration asks for."""
    hints = [f"accepted: {error.accepted}"] if error.accepted else []
    return Refusal(name, class_name, error.found, "; ".join([*hints, *([error.remedy] if error.remedy else [])]))


def refusal_error(refusals: Sequence[Refusal], where: str, accepted: str) -> UnsupportedError:
    """One error for all layers that cannot be translated; those of one class and reason share a line."""
    named: dict[str, list[str]] = {}
    for refusal in refusals[:_SHOWN]:
        named.setdefault(refusal.reason, []).append(refusal.name)
    lines = [f"{', '.join(names)} {reason}" for reason, names in named.items()]
    if len(refusals) > _SHOWN:
        lines.append(f"and {len(refusals) - _SHOWN} more")
    noun = "layer" if len(refusals) == 1 else "layers"
    return UnsupportedError("\n    ".join([f"{len(refusals)} {noun} cannot be translated", *lines]), where=where,
                            accepted=accepted)  # fmt: skip
