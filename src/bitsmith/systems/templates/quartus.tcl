# Compiles the system, of which qsys-generate has made the sources. Start with:  quartus_sh -t system/quartus.tcl
load_package flow
source system/settings.tcl
project_new -overwrite ${top}_soc
set_global_assignment -name FAMILY $family
set_global_assignment -name DEVICE $part
set_global_assignment -name TOP_LEVEL_ENTITY ${top}_soc
set_global_assignment -name PROJECT_OUTPUT_DIRECTORY system/output
set_global_assignment -name QIP_FILE system/${top}_soc/synthesis/${top}_soc.qip
set_global_assignment -name SDC_FILE system/soc.sdc
set_location_assignment $clock_pin -to clk_clk
set_instance_assignment -name IO_STANDARD $io_standard -to clk_clk
export_assignments
execute_module -tool map
# The processor's memory has places and standards of its own. Its generator's script adds them to the settings of the synthesized
# project, which is synthesized again with them. A project that is open here would be written over these settings.
project_close
foreach script [glob system/${top}_soc/synthesis/submodules/hps_sdram_p0_pin_assignments.tcl] {
    qexec "quartus_sta -t $script ${top}_soc"
}
project_open ${top}_soc
foreach tool {map fit asm sta} { execute_module -tool $tool }
project_close
file mkdir system/export
qexec "quartus_cpf -c -o bitstream_compression=on system/output/${top}_soc.sof system/export/$top.rbf"
