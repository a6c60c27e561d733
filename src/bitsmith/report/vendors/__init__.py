"""Readers of the vendors' reports."""
