"""Tick to decision: an order book's next move, decided in nanoseconds."""
