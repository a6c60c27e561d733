"""Sweeps: circuits of one model with many configurations, each converted and built in a process of its own, here or on Dask."""
