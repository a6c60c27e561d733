"""Values that torch computes of the weights alone, where there is no translation: resized images, standardized weights."""

import io

from bitsmith.layers.layer import Floats


def computed_constants(archive: bytes) -> dict[str, Floats]:
    """Results that torch computes of the weights alone in an archive of ``torch.export.save``, by their names.

    Quantizers, random and unwritten numbers, and integers from real ones, which may hold none, are left out, and what is computed
    of these.
    """
    import torch

    program = torch.export.load(io.BytesIO(archive))

    def is_integer(value: object) -> bool:
        return isinstance(value, torch.Tensor) and not value.is_floating_point() and value.dtype != torch.bool

    signature, stored = program.graph_signature, {**program.state_dict, **program.constants}
    trained = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    trained |= signature.inputs_to_lifted_tensor_constants
    values: dict[torch.fx.Node, object] = {}
    for node in program.graph.nodes:
        if node.name in trained:
            values[node] = stored[trained[node.name]].detach()
        elif callable(node.target) and all(one in values for one in node.all_input_nodes):
            tags, library = getattr(node.target, "tags", ()), getattr(node.target, "namespace", "aten")
            if (
                library == "aten"
                and not any(name in str(node.target) for name in ("quantize", "empty"))
                and torch.Tag.nondeterministic_seeded not in tags
            ):
                args, named = torch.fx.map_arg((node.args, node.kwargs), values.__getitem__)
                found = node.target(*args, **named)
                if not is_integer(found) or all(map(is_integer, filter(torch.is_tensor, args))):
                    values[node] = found
    return {
        node.name: value.double().cpu().numpy()
        for node, value in values.items()
        if node.name not in trained and isinstance(value, torch.Tensor)
    }
