"""Passes: ``network`` before lowering, ``program`` after it."""
