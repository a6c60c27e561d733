# Place and route of the synthesized circuit, whose checkpoint has the constraints.
source settings.tcl
open_checkpoint synth.dcp
opt_design
place_design
phys_opt_design
route_design
phys_opt_design
write_checkpoint -force implement.dcp
report_utilization -file utilization.rpt
report_utilization -hierarchical -file utilization_hierarchical.rpt
report_timing_summary -max_paths 10 -file timing.rpt
