"""HGQ2 (the package ``hgq``): Keras layers with quantizers for operands, results and trained tensors."""
