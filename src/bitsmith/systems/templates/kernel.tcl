# Packs the circuit as a kernel that runs freely, for v++. Start with:
#   vivado -mode batch -source system/kernel.tcl
set here [file dirname [file normalize [info script]]]
set root [file dirname $here]
source [file join $here settings.tcl]
set folder [file join $here ${core}_ip]

create_project -force ${core}_package [file join $here ${core}_package] -part $part
foreach source $sources { add_files -norecurse [list [file join $root $source]] }
set_property top $core [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -force -root_dir $folder -vendor bitsmith -library networks -taxonomy /KernelIP -import_files -set_current true
set kernel [ipx::current_core]
set_property name $core $kernel
foreach stream [concat $inputs $outputs] {
    ipx::associate_bus_interfaces -busif [lindex $stream 0] -clock $core_clock $kernel
}
set_property sdx_kernel true $kernel
set_property sdx_kernel_type rtl $kernel
set_property vitis_drc {ctrl_protocol ap_ctrl_none} $kernel
set_property ipi_drc {ignore_freq_hz true} $kernel
set_property supported_families {} $kernel
set_property auto_family_support_level level_2 $kernel
ipx::create_xgui_files $kernel
ipx::update_checksums $kernel
ipx::check_integrity $kernel
ipx::save_core $kernel
package_xo -force -xo_path [file join $here $core.xo] -kernel_name $core -ip_directory $folder \
    -kernel_xml [file join $here kernel.xml] -ctrl_protocol ap_ctrl_none
exit
