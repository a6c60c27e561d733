"""Twelve small Keras networks that cover the layers which hls4ml reads."""

from keras import Input, Model, Sequential, layers


def dense():
    return Sequential(
        [
            Input((6,)),
            layers.Dense(4, activation="relu", name="first"),
            layers.Dense(4, name="second"),
            layers.Dropout(0.1),
            layers.Activation("linear", name="nothing"),
            layers.Dense(3, activation="softmax", name="last"),
        ]
    )


def activations():
    x = inputs = Input((4,))
    for name in ("tanh", "sigmoid", "softplus", "softsign", "elu", "selu", "hard_sigmoid"):
        x = layers.Activation(name)(x)
    x = layers.LeakyReLU(negative_slope=0.25)(x)
    x = layers.ELU()(x)
    x = layers.PReLU()(x)
    x = layers.ReLU()(x)
    return Model(inputs, layers.Softmax()(x))


def conv1d():
    return Sequential(
        [
            Input((12, 2)),
            layers.ZeroPadding1D(1),
            layers.Conv1D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling1D(2),
            layers.UpSampling1D(2),
            layers.AveragePooling1D(2),
            layers.Conv1D(2, 1, activation="tanh"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2, activation="sigmoid"),
        ]
    )


def conv2d():
    return Sequential(
        [
            Input((8, 8, 2)),
            layers.ZeroPadding2D(1),
            layers.Conv2D(3, 3),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.UpSampling2D(2),
            layers.AveragePooling2D(2),
            layers.Cropping2D(1),
            layers.Flatten(),
            layers.Dense(3),
            layers.Softmax(),
        ]
    )


def separable():
    return Sequential(
        [
            Input((8, 8, 2)),
            layers.SeparableConv2D(3, 3, activation="relu"),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.Reshape((16, 3)),
            layers.SeparableConv1D(2, 3),
            layers.DepthwiseConv1D(3),
            layers.GlobalAveragePooling1D(),
        ]
    )


def recurrent():
    return Sequential(
        [
            Input((4, 3)),
            layers.LSTM(3, return_sequences=True),
            layers.GRU(3, return_sequences=True),
            layers.SimpleRNN(2),
            layers.Dense(2),
        ]
    )


def bidirectional():
    return Sequential(
        [
            Input((4, 3)),
            layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
            layers.Bidirectional(layers.GRU(2)),
            layers.Dense(2, activation="softmax"),
        ]
    )


def embedding():
    return Sequential(
        [Input((5,), dtype="int32"), layers.Embedding(8, 3), layers.Flatten(), layers.Dense(2, activation="relu")]
    )


def merges():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    joined = [cls()([a, b]) for cls in (layers.Add, layers.Subtract, layers.Multiply, layers.Average)]
    joined += [cls()([a, b]) for cls in (layers.Maximum, layers.Minimum)]
    x = layers.Concatenate()(joined)
    x = layers.Permute((2, 1))(layers.Reshape((6, 4))(x))
    return Model([a, b], [layers.Flatten()(x), layers.Dot(axes=1)([a, b])])


def residual():
    x = inputs = Input((3, 4))
    y = layers.EinsumDense("abc,cd->abd", output_shape=(3, 4), bias_axes="d", activation="relu", name="mixed")(x)
    x = layers.LayerNormalization(axis=2)(layers.Add()([x, y]))
    return Model(inputs, layers.Dense(2)(x))


def each():
    return Sequential(
        [Input((3, 4)), layers.TimeDistributed(layers.Dense(2), name="each"), layers.BatchNormalization()]
    )


ONLY_KERAS_2 = {"separable", "each"}  # hls4ml 1.3 fails on it otherwise


def again():
    """Layers that are called several times, and names that hls4ml 1.3 takes for reserved ones."""
    x = Input((6,), name="x")
    first, second, act = (
        layers.Dense(6, activation="tanh", name="fc"),
        layers.Dense(6, name="n"),
        layers.Activation("relu", name="act"),
    )
    return Model(x, first(act(second(first(act(second(first(x))))))))


NETWORKS = {
    f.__name__: f
    for f in (
        dense,
        activations,
        conv1d,
        conv2d,
        separable,
        recurrent,
        bidirectional,
        embedding,
        merges,
        residual,
        each,
        again,
    )
}
