# A project, and its synthesis by Quartus Prime Standard (quartus_map) or Pro (quartus_syn).
source settings.tcl
load_package flow
project_new $top -overwrite
set_global_assignment -name DEVICE $part
set_global_assignment -name TOP_LEVEL_ENTITY $top
set_global_assignment -name PROJECT_OUTPUT_DIRECTORY reports
set_global_assignment -name SDC_FILE $top.sdc
foreach source $sources {
    set_global_assignment -name SYSTEMVERILOG_FILE $source
}
source pins.tcl
export_assignments
if {[string match "*Pro Edition*" $quartus(version)]} {
    execute_module -tool syn
    file copy -force reports/$top.syn.summary synth.summary
} else {
    execute_module -tool map
    file copy -force reports/$top.map.summary synth.summary
}
project_close
