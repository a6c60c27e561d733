"""The part of TensorFlow Lite's schema that is read here: numbers of fields, types, operators and their options.

Source: ``schema.fbs`` of version 3, https://github.com/tensorflow/tensorflow/tree/master/tensorflow/compiler/mlir/lite/schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

IDENTIFIER = b"TFL3"
VERSION = 3


class ModelField(IntEnum):
    """Fields of the file's root."""

    VERSION, OPERATOR_CODES, GRAPHS, DESCRIPTION, BUFFERS = range(5)


class CodeField(IntEnum):
    """Fields of a kind of operator; the first is the older form of the last."""

    OLD_BUILTIN, CUSTOM, VERSION, BUILTIN = range(4)


class GraphField(IntEnum):
    """Fields of a graph."""

    TENSORS, INPUTS, OUTPUTS, OPERATORS, NAME = range(5)


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


PADDINGS = ("SAME", "VALID")
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")


@dataclass(frozen=True, slots=True)
class Entry:
    """One option: the number of its field, its form (of :mod:`struct`; ``*`` a list of integers, ``s`` text), and its default.

    An option that is one of several ``words`` is stored as their number.
    """

    number: int
    form: str = "i"
    default: int | float | bool = 0
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of an operator: the number of their kind, and their entries."""

    kind: int
    entries: Mapping[str, Entry]


_PADDING = Entry(0, "b", 0, PADDINGS)
_STRIDES = {"stride_w": Entry(1), "stride_h": Entry(2)}


def _activation(number: int) -> dict[str, Entry]:
    return {"fused_activation_function": Entry(number, "b", 0, ACTIVATIONS)}


def _bias_type(number: int) -> dict[str, Entry]:
    return {"quantized_bias_type": Entry(number, "b", 0)}


_SUM = {**_activation(0), "pot_scale_int16": Entry(1, "?", True)}
_POOL = Options(
    5, {"padding": _PADDING, **_STRIDES, "filter_width": Entry(3), "filter_height": Entry(4), **_activation(5)}
)
_REDUCTION = Options(27, {"keep_dims": Entry(0, "?", False)})
_CONV_3D = Options(
    106,
    {
        "padding": _PADDING,
        "stride_d": Entry(1),
        "stride_w": Entry(2),
        "stride_h": Entry(3),
        **_activation(4),
        "dilation_d_factor": Entry(5, default=1),
        "dilation_w_factor": Entry(6, default=1),
        "dilation_h_factor": Entry(7, default=1),
    },
)

OPTIONS: Mapping[str, Options] = MappingProxyType(
    {
        "ADD": Options(11, _SUM),
        "AVERAGE_POOL_2D": _POOL,
        "BATCH_MATMUL": Options(101, {"adj_x": Entry(0, "?", False), "adj_y": Entry(1, "?", False)}),
        "CALL_ONCE": Options(103, {"init_subgraph_index": Entry(0)}),
        "CONCATENATION": Options(10, {"axis": Entry(0), **_activation(1)}),
        "CONV_2D": Options(
            1,
            {
                "padding": _PADDING,
                **_STRIDES,
                **_activation(3),
                "dilation_w_factor": Entry(4, default=1),
                "dilation_h_factor": Entry(5, default=1),
                **_bias_type(6),
            },
        ),
        "CONV_3D": _CONV_3D,
        "CONV_3D_TRANSPOSE": _CONV_3D,
        "CUMSUM": Options(102, {"exclusive": Entry(0, "?", False), "reverse": Entry(1, "?", False)}),
        "DEPTHWISE_CONV_2D": Options(
            2,
            {
                "padding": _PADDING,
                **_STRIDES,
                **_activation(4),
                "dilation_w_factor": Entry(5, default=1),
                "dilation_h_factor": Entry(6, default=1),
            },
        ),
        "DEPTH_TO_SPACE": Options(94, {"block_size": Entry(0)}),
        "DIV": Options(29, _activation(0)),
        "FAKE_QUANT": Options(
            58,
            {
                "min": Entry(0, "f", 0.0),
                "max": Entry(1, "f", 0.0),
                "num_bits": Entry(2),
                "narrow_range": Entry(3, "?", False),
            },
        ),
        "FULLY_CONNECTED": Options(
            8,
            {
                **_activation(0),
                "weights_format": Entry(1, "b", 0),
                "keep_num_dims": Entry(2, "?", False),
                **_bias_type(4),
            },
        ),
        "GATHER": Options(23, {"axis": Entry(0), "batch_dims": Entry(1)}),
        "GELU": Options(116, {"approximate": Entry(0, "?", False)}),
        "L2_NORMALIZATION": Options(12, _activation(0)),
        "L2_POOL_2D": _POOL,
        "LEAKY_RELU": Options(75, {"alpha": Entry(0, "f", 0.0)}),
        "LOCAL_RESPONSE_NORMALIZATION": Options(
            13,
            {"radius": Entry(0), "bias": Entry(1, "f", 0.0), "alpha": Entry(2, "f", 0.0), "beta": Entry(3, "f", 0.0)},
        ),
        "MAX_POOL_2D": _POOL,
        "MEAN": _REDUCTION,
        "MIRROR_PAD": Options(77, {"mode": Entry(0, "b", 0, ("REFLECT", "SYMMETRIC"))}),
        "MUL": Options(21, _activation(0)),
        "ONE_HOT": Options(61, {"axis": Entry(0)}),
        "PACK": Options(59, {"values_count": Entry(0), "axis": Entry(1)}),
        **dict.fromkeys(("REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM"), _REDUCTION),
        "RESHAPE": Options(17, {"new_shape": Entry(0, "*")}),
        "RESIZE_BILINEAR": Options(
            15, {"align_corners": Entry(2, "?", False), "half_pixel_centers": Entry(3, "?", False)}
        ),
        "RESIZE_NEAREST_NEIGHBOR": Options(
            74, {"align_corners": Entry(0, "?", False), "half_pixel_centers": Entry(1, "?", False)}
        ),
        "SOFTMAX": Options(9, {"beta": Entry(0, "f", 0.0)}),
        "SPACE_TO_DEPTH": Options(19, {"block_size": Entry(0)}),
        "SPLIT": Options(35, {"num_splits": Entry(0)}),
        "SQUEEZE": Options(30, {"squeeze_dims": Entry(0, "*")}),
        "STRIDED_SLICE": Options(
            32,
            {
                "begin_mask": Entry(0),
                "end_mask": Entry(1),
                "ellipsis_mask": Entry(2),
                "new_axis_mask": Entry(3),
                "shrink_axis_mask": Entry(4),
                "offset": Entry(5, "?", False),
            },
        ),
        "SUB": Options(28, _SUM),
        "SVDF": Options(6, {"rank": Entry(0), **_activation(1)}),
        "TRANSPOSE_CONV": Options(49, {"padding": _PADDING, **_STRIDES, **_activation(3), **_bias_type(4)}),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": Options(
            71,
            {
                **_activation(0),
                "cell_clip": Entry(1, "f", 0.0),
                "proj_clip": Entry(2, "f", 0.0),
                "time_major": Entry(3, "?", False),
                "diagonal_recurrent_tensors": Entry(5, "?", False),
            },
        ),
        "UNPACK": Options(64, {"num": Entry(0), "axis": Entry(1)}),
        "VAR_HANDLE": Options(111, {"shared_name": Entry(1, "s")}),
    }
)
"""Options by operator; others have none that change a number."""
