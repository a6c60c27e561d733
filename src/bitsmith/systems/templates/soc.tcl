# Makes a Platform Designer system of the hard processor, a DMA engine for each stream and the circuit. Start with:
#   qsys-script --search-path=rtl,$ --script=system/soc.tcl
package require -exact qsys 16.1
source system/settings.tcl

proc part_of_system {name kind settings} {
    add_instance $name $kind
    foreach {key value} $settings { set_instance_parameter_value $name $key $value }
}

create_system ${top}_soc
set_project_property DEVICE_FAMILY $family
set_project_property DEVICE $part

part_of_system clock clock_source [list clockFrequency $board_hz clockFrequencyKnown true]
add_interface clk clock sink
set_interface_property clk EXPORT_OF clock.clk_in
part_of_system pll altera_pll [list gui_reference_clock_frequency [expr {$board_hz / 1e6}] gui_number_of_clocks 1 \
    gui_output_clock_frequency0 $clock_mhz gui_use_locked true]
add_connection clock.clk pll.refclk
add_connection clock.clk_reset pll.reset

# Logic that is configured while the processor runs has its reset behind it: it waits for the PLL's clock, too.
add_instance locked bitsmith_locked
add_connection pll.outclk0 locked.clock
add_connection pll.locked locked.locked

# The processor: the narrow bridge to registers, the wide one from the logic to its memory. The memory is two DDR3 chips of 16 bits;
# what differs between boards is in the settings.
part_of_system processor altera_hps [concat {
    F2S_Width 2 S2F_Width 0 LWH2F_Enable true F2SDRAM_Type {} F2SDRAM_Width {} MPU_EVENTS_Enable false
    HPS_PROTOCOL DDR3 MEM_FORMAT DISCRETE MEM_VOLTAGE {1.5V DDR3} MEM_CLK_FREQ 400.0 MEM_CLK_FREQ_MAX 800.0
    MEM_DQ_WIDTH 32 MEM_DQ_PER_DQS 8 MEM_ROW_ADDR_WIDTH 15 MEM_COL_ADDR_WIDTH 10 MEM_BANKADDR_WIDTH 3
    MEM_TINIT_US 500 MEM_TMRD_CK 4 MEM_TRAS_NS 35.0 MEM_TRCD_NS 13.75 MEM_TRP_NS 13.75 MEM_TREFI_US 7.8
    MEM_TWR_NS 15.0 MEM_TWTR 4 MEM_TRTP_NS 7.5 TIMING_BOARD_SKEW_BETWEEN_DIMMS 0.05
} $memory_settings]
add_connection processor.h2f_reset clock.clk_in_reset
add_interface memory conduit end
set_interface_property memory EXPORT_OF processor.memory
add_connection pll.outclk0 processor.h2f_lw_axi_clock
add_connection pll.outclk0 processor.f2h_axi_clock

add_instance circuit $core
add_connection pll.outclk0 circuit.clock
add_connection clock.clk_reset circuit.reset
add_connection locked.reset circuit.reset

# The circuit's registers, above those of the engines.
add_connection processor.h2f_lw_axi_master circuit.registers
set_connection_parameter_value processor.h2f_lw_axi_master/circuit.registers baseAddress 0x1000

# An engine for each stream, with 64 bytes of registers: status and control first, descriptors from 0x20 on.
set number 0
foreach {mode streams} [list 1 $inputs 2 $outputs] {
    foreach stream $streams {
        lassign $stream name bytes
        set engine dma_$number
        part_of_system $engine altera_msgdma [list MODE $mode DATA_WIDTH [expr {8 * $bytes}] USE_FIX_ADDRESS_WIDTH 1 \
            FIX_ADDRESS_WIDTH 32 DATA_FIFO_DEPTH 64 DESCRIPTOR_FIFO_DEPTH 8 RESPONSE_PORT 2 MAX_BYTE 16777216 \
            TRANSFER_TYPE {Full Word Accesses Only} BURST_ENABLE 1 MAX_BURST_COUNT 16 PACKET_ENABLE 1]
        add_connection pll.outclk0 $engine.clock
        add_connection clock.clk_reset $engine.reset_n
        add_connection locked.reset $engine.reset_n
        foreach {slave offset} {csr 0x00 descriptor_slave 0x20} {
            add_connection processor.h2f_lw_axi_master $engine.$slave
            set_connection_parameter_value processor.h2f_lw_axi_master/$engine.$slave baseAddress \
                [format 0x%04x [expr {0x40 * $number + $offset}]]
        }
        if {$mode == 1} {
            set memory $engine.mm_read
            add_connection $engine.st_source circuit.$name
        } else {
            set memory $engine.mm_write
            add_connection circuit.$name $engine.st_sink
        }
        add_connection $memory processor.f2h_axi_slave
        set_connection_parameter_value $memory/processor.f2h_axi_slave baseAddress 0x0000
        incr number
    }
}
save_system system/${top}_soc.qsys
