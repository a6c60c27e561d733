"""Quantizers, and arithmetic on the grids between them."""
