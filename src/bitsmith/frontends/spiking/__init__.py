"""Readers of spiking networks: graphs of NIR, and modules of snnTorch."""


def is_neuron(module: object) -> bool:
    """Return True of a neuron of snnTorch; without importing it."""
    return type(module).__module__.split(".")[0] == "snntorch"
