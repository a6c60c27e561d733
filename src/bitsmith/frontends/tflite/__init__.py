"""TensorFlow Lite: files, read without any package of theirs."""
