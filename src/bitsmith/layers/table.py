"""All layers by name: what a saved model may contain."""

from __future__ import annotations

from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.dense import Dense
from bitsmith.layers.einsum import Einsum, EinsumDense
from bitsmith.layers.elementwise import Absolute, Sign, Sinusoid, WholeNumber
from bitsmith.layers.embedding import Embedding, OneHot
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.integer import Bitwise, WholeQuotient, Wrap
from bitsmith.layers.layer import Layer
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import AdaptiveAveragePool, AdaptiveMaxPool, AveragePool, MaxPool
from bitsmith.layers.power import Divide, Logarithm, Power, VariablePower
from bitsmith.layers.quantization.lookup import Lookup, Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.rescale import Rescale
from bitsmith.layers.quantization.steps import BinaryTanh, TernaryTanh
from bitsmith.layers.recurrent import GRU, LSTM, SimpleRNN
from bitsmith.layers.reduction import ArgMax, CumulativeSum, Reduce
from bitsmith.layers.resample import Crop, Pad, Resize
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from bitsmith.layers.shape import Broadcast, Flatten, Gather, Identity, Permute, Reshape, Slice, Stack
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.time_distributed import TimeDistributed

_CLASSES: tuple[type[Layer], ...] = (
    Absolute,
    Activation,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Add,
    ArgMax,
    Average,
    AveragePool,
    BatchNormalization,
    BinaryTanh,
    Bitwise,
    Broadcast,
    Comparison,
    Concatenate,
    Constant,
    Conv,
    ConvTranspose,
    Crop,
    CumulativeSum,
    Dense,
    Divide,
    Einsum,
    EinsumDense,
    Embedding,
    Flatten,
    GRU,
    Gather,
    GroupNormalization,
    HardActivation,
    Identity,
    Input,
    LSTM,
    LayerNormalization,
    Logarithm,
    Lookup,
    MaxPool,
    Maximum,
    Minimum,
    Multiply,
    OneHot,
    PReLU,
    Pad,
    Permute,
    Power,
    Quantize,
    RMSNormalization,
    ReLU,
    Reduce,
    Rescale,
    Reshape,
    Resize,
    Sign,
    SimpleRNN,
    Sinusoid,
    Slice,
    Softmax,
    Stack,
    Staircase,
    Subtract,
    TernaryTanh,
    TimeDistributed,
    UnitNormalization,
    VariablePower,
    Where,
    WholeNumber,
    WholeQuotient,
    Wrap,
)

LAYERS = {layer.__name__: layer for layer in _CLASSES}
