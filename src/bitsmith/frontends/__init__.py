"""Frontends: one reader per model format, each from files or live objects to a network of layers.

No machine-learning framework is imported here. A model file is untrusted input: whatever it holds, the only exceptions are
those of :mod:`bitsmith.errors`.
"""
