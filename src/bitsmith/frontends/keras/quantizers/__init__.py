"""QKeras's quantizers, of QKeras 0.9 and qkeras-v3; all layers of Keras may have them as activations."""
