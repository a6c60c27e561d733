# Synthesis without pads. The constraints are read before it, so that it is driven by timing.
source settings.tcl
read_verilog -sv $sources
read_xdc $top.xdc
synth_design -top $top -part $part -mode out_of_context -flatten_hierarchy rebuilt
write_checkpoint -force synth.dcp
report_utilization -file utilization_synth.rpt
report_timing_summary -max_paths 10 -file timing_synth.rpt
