"""A network under construction: values with their batch axis, and the layers that are emitted for them."""
