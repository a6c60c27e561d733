"""The part of TensorFlow Lite's schema that is read here: numbers of fields, types, operators and their options.

Source: ``schema.fbs`` of version 3, https://github.com/tensorflow/tensorflow/tree/master/tensorflow/compiler/mlir/lite/schema.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

IDENTIFIER = b"TFL3"
VERSION = 3


class ModelField(IntEnum):
    """Fields of the file's root."""

    VERSION, OPERATOR_CODES, GRAPHS, DESCRIPTION, BUFFERS = range(5)
    SIGNATURES = 7


class CodeField(IntEnum):
    """Fields of a kind of operator; the first is the older form of the last."""

    OLD_BUILTIN, CUSTOM, VERSION, BUILTIN = range(4)


class GraphField(IntEnum):
    """Fields of a graph."""

    TENSORS, INPUTS, OUTPUTS, OPERATORS, NAME = range(5)


class SignatureField(IntEnum):
    """Fields of the signature of a graph."""

    NAME, GRAPH = 2, 4


class TensorField(IntEnum):
    """Fields of a tensor."""

    SHAPE, TYPE, BUFFER, NAME, QUANTIZATION, IS_VARIABLE, SPARSITY, SIGNATURE = range(8)
    EXTERNAL_BUFFER = 10


class QuantizationField(IntEnum):
    """Fields of a tensor's quantization."""

    SCALE, ZERO_POINT, DETAILS, AXIS = 2, 3, 4, 6


class OperatorField(IntEnum):
    """Fields of an operator."""

    CODE, INPUTS, OUTPUTS, OPTIONS_KIND, OPTIONS, CUSTOM_OPTIONS = range(6)
    INTERMEDIATES = 8


DATA, EXTERNAL_DATA = 0, 1
"""Fields of a buffer."""

TYPES = MappingProxyType(
    {
        0: "float32",
        1: "float16",
        2: "int32",
        3: "uint8",
        4: "int64",
        5: "string",
        6: "bool",
        7: "int16",
        9: "int8",
        8: "complex64",
        10: "float64",
        11: "complex128",
        12: "uint64",
        13: "resource",
        14: "variant",
        15: "uint32",
        16: "uint16",
        17: "int4",
        18: "bfloat16",
        19: "int2",
        20: "uint4",
        21: "float8_e4m3fn",
        22: "float8_e5m2",
    }
)
"""Types of elements."""

_NAMES = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED
HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU
RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM
EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV
SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE
BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD
REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL
FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N
GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND
HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP
STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE
STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM
STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT
STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER
STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT
STABLEHLO_CASE
"""

NAMES = tuple(_NAMES.split())
"""Operators by number; later ones have no name here."""

CUSTOM = NAMES.index("CUSTOM")


def operator_name(number: int) -> str:
    """The name of a built-in operator."""
    return NAMES[number] if 0 <= number < len(NAMES) else f"built-in operator {number}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One option: the number of its field, its form (of :mod:`struct`; ``*`` a list of integers, ``s`` text), and its default.

    An option that is one of several ``words`` is stored as their number.
    """

    number: int
    form: str
    default: int | float | bool
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of an operator: the number of their kind, how many there are, and the entries of those that matter."""

    kind: int
    count: int
    entries: Mapping[str, Entry]


_WORDS: Mapping[str, tuple[str, ...]] = {
    "padding": ("SAME", "VALID"),
    "fused_activation_function": ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"),
    "mode": ("REFLECT", "SYMMETRIC"),
}

_OPTIONS = """
ADD 11 | fused_activation_function pot_scale_int16:?=1
AVERAGE_POOL_2D L2_POOL_2D MAX_POOL_2D 5 | padding stride_w stride_h filter_width filter_height fused_activation_function
BATCH_MATMUL 101 | adj_x:? adj_y:? -
CALL_ONCE 103 | init_subgraph_index
CONCATENATION 10 | axis fused_activation_function
CONV_2D 1 | padding stride_w stride_h fused_activation_function dilation_w_factor:i=1 dilation_h_factor:i=1 -
CONV_3D CONV_3D_TRANSPOSE 106 | padding stride_d stride_w stride_h fused_activation_function \
    dilation_d_factor:i=1 dilation_w_factor:i=1 dilation_h_factor:i=1
CUMSUM 102 | exclusive:? reverse:?
DEPTHWISE_CONV_2D 2 | padding stride_w stride_h - fused_activation_function dilation_w_factor:i=1 dilation_h_factor:i=1
DEPTH_TO_SPACE 94 | block_size
DIV 29 | fused_activation_function
FAKE_QUANT 58 | min:f max:f num_bits narrow_range:?
FULLY_CONNECTED 8 | fused_activation_function weights_format:b keep_num_dims:? - -
GATHER 23 | axis batch_dims
GELU 116 | approximate:?
L2_NORMALIZATION 12 | fused_activation_function
LEAKY_RELU 75 | alpha:f
LOCAL_RESPONSE_NORMALIZATION 13 | radius bias:f alpha:f beta:f
MEAN REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD SUM 27 | keep_dims:?
MIRROR_PAD 77 | mode
MUL 21 | fused_activation_function
ONE_HOT 61 | axis
PACK 59 | - axis
RESHAPE 17 | new_shape:*
RESIZE_BILINEAR 15 | - - align_corners:? half_pixel_centers:?
RESIZE_NEAREST_NEIGHBOR 74 | align_corners:? half_pixel_centers:?
SOFTMAX 9 | beta:f
SPACE_TO_DEPTH 19 | block_size
SQUEEZE 30 | squeeze_dims:*
STRIDED_SLICE 32 | begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask offset:?
SUB 28 | fused_activation_function pot_scale_int16:?=1
SVDF 6 | rank fused_activation_function -
TRANSPOSE_CONV 49 | padding stride_w stride_h fused_activation_function -
UNIDIRECTIONAL_SEQUENCE_LSTM 71 | fused_activation_function cell_clip:f - time_major:? - diagonal_recurrent_tensors:?
UNPACK 64 | - axis
VAR_HANDLE 111 | - shared_name:s
"""
"""Operators, the number of their options' kind, and the fields in order: ``name:form=default``, of 32 bits and 0 if left out.

Those that change no number here are dashes: repetitions of shapes, types that tensors have, and how a runtime rounds operands.
"""


def _entry(number: int, text: str) -> tuple[str, Entry]:
    name, _, rest = text.partition(":")
    form, _, default = (rest or ("b" if name in _WORDS else "i")).partition("=")
    kind = {"f": float, "?": bool}.get(form, int)
    return name, Entry(number, form, kind(int(default or 0)), _WORDS.get(name, ()))


def _options(text: str) -> Iterator[tuple[str, Options]]:
    for line in text.strip().splitlines():
        head, _, listed = line.partition(" | ")
        *names, kind = head.split()
        fields = [_entry(number, text) for number, text in enumerate(listed.split()) if text != "-"]
        yield from ((name, Options(int(kind), len(listed.split()), dict(fields))) for name in names)


OPTIONS: Mapping[str, Options] = MappingProxyType(dict(_options(_OPTIONS)))
"""Options by operator; others have none that change a number."""
