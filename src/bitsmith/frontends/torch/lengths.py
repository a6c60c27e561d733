"""Sequences of unlike lengths in live PyTorch modules, which change what a layer computes, and are refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.torch.hooks import hooked

if TYPE_CHECKING:
    import torch

PACKED = (
    "packed sequences, whose lengths differ",
    "pad to one length and drop pack_padded_sequence and pad_packed_sequence, which change nothing where all have that length; "
    "of shorter ones no state is frozen then",
)
"""The reason for which packed sequences are refused, and the remedy."""


@contextlib.contextmanager
def refusing_lengths(module: torch.nn.Module) -> Iterator[None]:
    """Refuse packed sequences, and encoders called with padding that make nested tensors.

    Padded steps of the latter are 0, but not with gradients on.

    Raises:
        UnsupportedError: such a call in the time of the context.
    """
    import torch

    padded = list[str]()

    def see(name: str, _: object, args: Sequence[object], named: Mapping[str, object]) -> None:
        given = dict(zip(("src", "mask", "src_key_padding_mask"), args, strict=False)) | dict(named)
        padded.extend([name] * (given.get("src_key_padding_mask") is not None and given.get("mask") is None))

    def refuse(_: object, args: Sequence[object]) -> None:
        if any(isinstance(x, torch.nn.utils.rnn.PackedSequence) for x in args):
            raise UnsupportedError(PACKED[0])

    hooks = (
        part.register_forward_pre_hook(partial(see, name or "module"), with_kwargs=True)
        if isinstance(part, torch.nn.TransformerEncoder)
        else part.register_forward_pre_hook(refuse)
        for name, part in module.named_modules()
        if getattr(part, "use_nested_tensor", isinstance(part, torch.nn.RNNBase))
    )
    with hooked(hooks):
        yield
    for name in padded:
        found = f"padding in the TransformerEncoder {name!r}, whose padded steps are 0, but not where gradients are on"
        remedy = f"set {name}.use_nested_tensor = False"
        raise UnsupportedError(found, accepted="encoders without nested tensors", remedy=remedy)
