"""PyTorch: live modules, exported programs and .pt2 files, and their vocabulary of operators."""
