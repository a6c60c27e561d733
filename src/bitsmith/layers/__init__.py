"""Layers: for each its fields, shape rule, float reference and lowering to core ops, all in one place.

Knows no file format, no backend. What enters: float weights and the user's settings; what leaves: a core program.
"""
