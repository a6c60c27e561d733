"""From programs to networks of processes: folding, streaming, fusion of token functions, weights in memories."""
