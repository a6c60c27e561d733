"""Calls that users make with a model in their hands: convert, explain, explore, fit, split, compose."""
