"""The expected size of a circuit before any tool runs, and the directives that make it fit."""
