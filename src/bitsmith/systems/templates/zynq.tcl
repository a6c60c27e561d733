# Makes a Vivado project with the processor of the board, a DMA engine for each stream and the circuit (or the circuit alone, where it
# has ports to memory itself), and from it the bitstream and its hand-off to software, in the folder export. Start with:
#   vivado -mode batch -source system/zynq.tcl
set here [file dirname [file normalize [info script]]]
set root [file dirname $here]
source [file join $here settings.tcl]
set project ${top}_system

# Ends with a line that is seen in the log.
proc fail {message} {
    puts "ERROR: $message"
    error $message
}

# The newest version of an IP that this Vivado has.
proc ip {name instance} {
    set found [lsort -dictionary [get_ipdefs -filter "NAME == $name"]]
    if {[llength $found] == 0} { fail "this Vivado has no IP $name" }
    return [create_bd_cell -type ip -vlnv [lindex $found end] $instance]
}

proc wire {from args} {
    foreach to $args { connect_bd_net [get_bd_pins $from] [get_bd_pins $to] }
}

proc bus {from to} {
    connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}

create_project -force $project [file join $here $project] -part $part
# The board as it is named, else in the newest version that is installed; a carrier is joined to the former only.
set others [lsort -dictionary [get_board_parts -quiet [regsub {[^:]*$} $board_part *]]]
if {[llength [get_board_parts -quiet $board_part]]} {
    set_property board_part $board_part [current_project]
    if {[llength $connections]} { set_property board_connections $connections [current_project] }
    set preset 1
} elseif {[llength $others]} {
    puts "WARNING: [lindex $others end] is taken for $board_part, which is not installed"
    set_property board_part [lindex $others end] [current_project]
    set preset 1
} else {
    puts "WARNING: the files of the board $board_part are not installed: the pins and the memory of the processor are left as they\
        are, which is enough where other software has started it (PYNQ does)"
    set preset 0
}
if {$ip_folder ne ""} {
    set_property ip_repo_paths [list [file join $root $ip_folder]] [current_project]
    update_ip_catalog
}
# A list, which a path with a space in it would be two words of.
foreach source $sources { add_files -norecurse [list [file join $root $source]] }
update_compile_order -fileset sources_1

create_bd_design design_1

# The processor: a port for registers, one for its memory, and the clock.
if {$processor eq "zynq"} {
    ip processing_system7 processor
    apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
        -config [list make_external "FIXED_IO, DDR" apply_board_preset $preset] [get_bd_cells processor]
    set_property -dict [list CONFIG.PCW_USE_M_AXI_GP0 1 CONFIG.PCW_USE_S_AXI_HP0 1 \
        CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz] [get_bd_cells processor]
    set clock processor/FCLK_CLK0
    set reset processor/FCLK_RESET0_N
    set control processor/M_AXI_GP0
    set memory processor/S_AXI_HP0
    wire $clock processor/M_AXI_GP0_ACLK processor/S_AXI_HP0_ACLK
    set address_bits 32
} else {
    ip zynq_ultra_ps_e processor
    apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e \
        -config [list apply_board_preset $preset] [get_bd_cells processor]
    set_property -dict [list CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__M_AXI_GP2 0 \
        CONFIG.PSU__USE__S_AXI_GP2 1 CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz] [get_bd_cells processor]
    set clock processor/pl_clk0
    set reset processor/pl_resetn0
    set control processor/M_AXI_HPM0_FPD
    set memory processor/S_AXI_HP0_FPD
    wire $clock processor/maxihpm0_fpd_aclk processor/saxihp0_fpd_aclk
    set address_bits 40
}
ip proc_sys_reset resets
wire $clock resets/slowest_sync_clk
wire $reset resets/ext_reset_in

# The circuit.
if {$ip_folder ne ""} { ip $core circuit } else { create_bd_cell -type module -reference $core circuit }
wire $clock circuit/$core_clock
wire resets/peripheral_aresetn circuit/$core_reset

# A DMA engine for each stream in and the stream out of the same number, if there is one. A stream is its name and its bytes.
set engines [expr {[llength $memory_ports] ? 0 : max([llength $inputs], [llength $outputs])}]
set readers [list]
set controlled [list]
foreach port $memory_ports { lappend readers circuit/$port }
if {[llength $memory_ports] && !$registers} { lappend controlled circuit/s_axi_control }
for {set k 0} {$k < $engines} {incr k} {
    set dma axi_dma_$k
    set sends [expr {$k < [llength $inputs]}]
    set receives [expr {$k < [llength $outputs]}]
    ip axi_dma $dma
    set_property -dict [list CONFIG.c_include_sg 0 CONFIG.c_sg_include_stscntrl_strm 0 CONFIG.c_sg_length_width 26 \
        CONFIG.c_addr_width $address_bits CONFIG.c_include_mm2s $sends CONFIG.c_include_s2mm $receives] [get_bd_cells $dma]
    wire $clock $dma/s_axi_lite_aclk
    wire resets/peripheral_aresetn $dma/axi_resetn
    lappend controlled $dma/S_AXI_LITE
    if {$sends} {
        lassign [lindex $inputs $k] name bytes
        set bits [expr {8 * $bytes}]
        set_property -dict [list CONFIG.c_m_axi_mm2s_data_width [expr {max($bits, 32)}] \
            CONFIG.c_m_axis_mm2s_tdata_width $bits CONFIG.c_mm2s_burst_size 16] [get_bd_cells $dma]
        wire $clock $dma/m_axi_mm2s_aclk
        lappend readers $dma/M_AXI_MM2S
        bus $dma/M_AXIS_MM2S circuit/$name
    }
    if {$receives} {
        lassign [lindex $outputs $k] name bytes
        set bits [expr {8 * $bytes}]
        set_property CONFIG.c_s_axis_s2mm_tdata_width.VALUE_SRC USER [get_bd_cells $dma]
        set_property -dict [list CONFIG.c_m_axi_s2mm_data_width [expr {max($bits, 32)}] \
            CONFIG.c_s_axis_s2mm_tdata_width $bits CONFIG.c_s2mm_burst_size 16] [get_bd_cells $dma]
        wire $clock $dma/m_axi_s2mm_aclk
        lappend readers $dma/M_AXI_S2MM
        bus circuit/$name $dma/S_AXIS_S2MM
    }
}

# All that reads and writes to the memory, and the processor to all registers.
ip smartconnect to_memory
set_property -dict [list CONFIG.NUM_SI [llength $readers] CONFIG.NUM_MI 1 CONFIG.NUM_CLKS 1] [get_bd_cells to_memory]
foreach from $readers {
    bus $from to_memory/[format S%02d_AXI [lsearch $readers $from]]
}
bus to_memory/M00_AXI $memory
if {$registers} { lappend controlled circuit/s_axi }
ip smartconnect to_registers
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI [llength $controlled] CONFIG.NUM_CLKS 1] [get_bd_cells to_registers]
bus $control to_registers/S00_AXI
foreach to $controlled {
    bus to_registers/[format M%02d_AXI [lsearch $controlled $to]] $to
}
wire $clock to_memory/aclk to_registers/aclk
wire resets/peripheral_aresetn to_memory/aresetn to_registers/aresetn

assign_bd_address
validate_bd_design
save_bd_design
set design [get_files design_1.bd]
set_property synth_checkpoint_mode None $design
generate_target all $design
make_wrapper -files $design -top -import
set_property top design_1_wrapper [current_fileset]
update_compile_order -fileset sources_1

launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} { fail "implementation has failed: see [get_property DIRECTORY [get_runs impl_1]]" }
open_run impl_1
report_utilization -file [file join $here utilization.rpt]
report_timing_summary -file [file join $here timing.rpt]
set slack [get_property STATS.WNS [get_runs impl_1]]
if {$slack < 0} { fail "the clock of $clock_mhz MHz is missed by [expr {-$slack}] ns: take a longer clock period" }
# No longer period helps these: data that change too early, and pulses that are too short for a cell.
foreach {name missed} [list WHS "hold times are" TPWS "widths of pulses are"] {
    set slack [get_property STATS.$name [get_runs impl_1]]
    if {$slack ne "" && $slack < 0} { fail "$missed missed by [expr {-$slack}] ns: see [file join $here timing.rpt]" }
}

set export [file join $here export]
file mkdir $export
file copy -force [file join [get_property DIRECTORY [get_runs impl_1]] design_1_wrapper.bit] [file join $export $top.bit]
# The hand-off lies beside the sources, from 2020.2 on beside what is generated of them.
set handoffs [glob -nocomplain -directory [file join $here $project] *.{gen,srcs}/sources_1/bd/design_1/hw_handoff/design_1.hwh]
if {[llength $handoffs] == 0} { fail "no design_1.hwh in [file join $here $project]" }
file copy -force [lindex $handoffs 0] [file join $export $top.hwh]
write_hw_platform -fixed -include_bit -force -file [file join $export $top.xsa]
exit
