"""Keras 2 and Keras 3: files, live models, and their vocabulary of layers and operations."""
