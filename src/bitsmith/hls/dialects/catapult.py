"""Siemens Catapult: types and pragmas. Its project script is not written yet, so it is no backend for users."""

from bitsmith.hls.dialects.dialect import Dialect, Family

CATAPULT = Dialect(
    name="catapult",
    family=Family.AC,
    before_loop='_Pragma("hls_unroll yes")',
    before_top=("#pragma hls_design top", "#pragma hls_pipeline_init_interval 1"),
)
