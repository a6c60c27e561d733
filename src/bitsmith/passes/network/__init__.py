"""Passes from network to network, before it becomes a program."""
