"""How a program becomes a network of processes: what is folded, streamed, fused, and kept in memories."""
