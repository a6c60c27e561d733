# Makes an IP of the circuit in C++ with its AXI4-Streams, or a kernel for v++, for Vivado HLS and Vitis HLS.
set here [file dirname [file normalize [info script]]]
source [file join $here settings.tcl]
open_project -reset ${core}_prj
set_top $core
add_files firmware/$core.cpp -cflags "-std=c++11 $defines"
add_files firmware/$top.cpp -cflags "-std=c++11"
if {$kernel} { open_solution -reset solution1 -flow_target vitis } else { open_solution -reset solution1 }
set_part $part
create_clock -period $clock_period -name default
set_clock_uncertainty $clock_uncertainty default
# Vivado HLS takes arrays of at most 1,024 elements apart unless it is told of more, and some of its releases know 4,096 at most.
foreach size $largest_arrays { catch { config_array_partition -maximum_size $size } }
csynth_design
if {$kernel} {
    export_design -format xo -output [file join $here $core.xo]
} else {
    export_design -format ip_catalog -version $version
}
exit
