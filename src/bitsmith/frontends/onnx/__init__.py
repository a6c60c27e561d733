"""ONNX: files and live models, and their vocabulary of operators."""
