"""QKeras's layers, of Keras 2 (QKeras 0.9) and of Keras 3 (qkeras-v3)."""
