"""TensorFlow Lite: files of quantized models, read without any package of theirs."""
