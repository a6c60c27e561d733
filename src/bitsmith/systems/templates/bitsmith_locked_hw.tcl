# Tells Platform Designer of bitsmith_locked.sv, which is beside this file.
package require -exact qsys 16.1
set_module_property NAME bitsmith_locked
set_module_property DISPLAY_NAME bitsmith_locked
set_module_property VERSION 1.0
set_module_property GROUP bitsmith
set_module_property EDITABLE false
add_fileset QUARTUS_SYNTH QUARTUS_SYNTH "" ""
set_fileset_property QUARTUS_SYNTH TOP_LEVEL bitsmith_locked
add_fileset_file bitsmith_locked.sv SYSTEM_VERILOG PATH bitsmith_locked.sv
add_interface clock clock end
add_interface_port clock clk clk Input 1
add_interface locked conduit end
add_interface_port locked locked export Input 1
add_interface reset reset start
set_interface_property reset associatedClock clock
set_interface_property reset synchronousEdges DEASSERT
add_interface_port reset reset reset Output 1
