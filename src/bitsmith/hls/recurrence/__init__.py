"""Recurrences whose states go round, as loops of one function in C++."""
