"""Identifiers of generated C++: made of the user's names, legal, unique, no macro of the headers that are included."""

import re

from bitsmith.rtl.names import KEYWORDS as VERILOG_KEYWORDS
from bitsmith.rtl.names import VHDL_KEYWORDS

_RESERVED = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class co_await
co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
double dynamic_cast else enum explicit export extern false final float for friend goto if import inline int long module
mutable namespace new noexcept not not_eq nullptr operator or or_eq override private protected public register
reinterpret_cast requires restrict return short signed sizeof static static_assert static_cast struct switch template
this thread_local throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while
xor xor_eq
assert errno linux main offsetof setjmp signbit stderr stdin stdout unix va_arg va_copy va_end va_start
bitsmith hls ihc kernels std sycl
ac_channel ac_fixed ac_int ap_fixed ap_int ap_ufixed ap_uint daylight environ timezone uint ulong ushort
component kernel pipe
clk finish ready reset start
aux com1 com2 com3 com4 con lpt1 lpt2 lpt3 nul prn
"""
KEYWORDS = frozenset(_RESERVED.split())
"""Keywords of C++ up to C++20 and of the vendors' compilers, macros in lower case, namespaces, types and variables of included
headers, ports of SmartHLS's circuits beside those that have the names of arguments, and devices of Windows, which can be names
of no files."""

USED = ("ac_fixed", "ap_fixed", "ap_ufixed", *(f"int{size}_t" for size in (8, 16, 32, 64)), "uint64_t")
"""Names of other namespaces that generated code uses unqualified, which no name of a project may hide."""

_MAX_LENGTH = 64


def identifier(text: str) -> str:
    """``text`` as a legal identifier: ASCII letters, digits and single underscores, none of them at an end.

    So no name that is made of several of them has two underscores in a row, which C++ reserves. Keywords get ``_n`` appended,
    and so do names in capitals, since they could be macros (``EOF``, ``AP_RND``, ``I``), and names with the ending of types
    (``size_t``) or the beginning of the vendors' macros (``hls_register``).
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", text, flags=re.ASCII)[:_MAX_LENGTH].strip("_")
    if not name or name[0].isdigit():
        name = f"n{name}"
    taken = name in KEYWORDS or name == name.upper() or name.endswith("_t") or name.startswith(("hls_", "ihc_"))
    return f"{name}_n" if taken else name


def top_identifier(text: str) -> str:
    """``text`` as the name of a top function, of its circuit and its header.

    It is no word of Verilog or VHDL, which tools rename, and not the header ``types.h`` beside it.
    """
    name = identifier(text)
    return f"{name}_n" if name.lower() in VERILOG_KEYWORDS | VHDL_KEYWORDS | {"types"} else name


def comment(text: str) -> str:
    """``text`` as it may stand in a ``//`` comment: printable ASCII without backslashes and trigraphs, which would join lines."""
    return re.sub(r"\?\?+", "?", re.sub(r"[^ -\[\]-~]", "?", text))[:200]
