"""Engines: layers that take turns on one row of multipliers."""
