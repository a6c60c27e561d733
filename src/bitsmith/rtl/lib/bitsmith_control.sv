// SPDX-License-Identifier: Apache-2.0
// Control and status of a network as AXI4-Lite registers of 32 bits.
//
//  address  name            access      meaning
//  0x00     ID              read        0x62736d74
//  0x04     VERSION         read        major (bits 31 to 16), minor (15 to 8) and patch (7 to 0) of the generator
//  0x08     DIGEST_LOW      read        the project's digest, lower half
//  0x0c     DIGEST_HIGH     read        its upper half
//  0x10     CONTROL         write       bit 0: reset the network and all counters below, for 16 cycles; bit 1: forget flipped bits
//  0x14     STATUS          read        bit 0: in reset, or busy; bit 1: a TLAST came with a token that is not the last of a frame
//  0x18     LATENCY         read        planned cycles from a frame's first token to the last token of its result
//  0x1c     INTERVAL        read        planned cycles between frames
//  0x20     FRAMES_IN       read        frames taken by the first input since the last reset
//  0x24     FRAMES_OUT      read        frames given by the first output since the last reset
//  0x28     PACKET_FRAMES   read/write  frames between two TLASTs of each output, 1 after power-on; 0 means 1
//  0x2c     STREAMS         read        inputs (bits 15 to 0), outputs (31 to 16)
//  0x30     PAGE            read/write  bits 3 to 0: which registers of monitors of ranges are at 0xc00 and above
//  0x40+8k  TOKENS          read        tokens of a frame of stream k, inputs first
//  0x44+8k  BYTES           read        bytes of a token of stream k
//
// From 0x400 on there may be those of bitsmith_counters, from 0x800 on registers of others. All other addresses read as 0; writing to
// what cannot be written does nothing. All answers are OKAY.
//
// SHAPES        TOKENS and BYTES of all streams, that of the first in the lowest bits
// core_resetn   reset of the network, active low: aresetn, or the CONTROL register, a cycle later; a register, which tools can copy
// page          which registers of monitors are read
// clear         high for a cycle when flipped bits of memories are to be forgotten
// frame_in, frame_out, misplaced   high for a cycle with each event
// busy          memories of the network are loaded or read back, which holds it in reset
// hold          a reset by the CONTROL register does not end while it is high
// written       a word is written to 0x800 or above: s_axi_awaddr, s_axi_wdata and s_axi_wstrb say which
// value_counted the word at s_axi_araddr, if that is from 0x400 to 0x7fc, or 0xc00 or above
// value_above   the word at s_axi_araddr, if that is from 0x800 to 0xbfc
module bitsmith_control #(
    parameter logic [31:0] VERSION = '0,
    parameter logic [63:0] DIGEST = '0,
    parameter logic [31:0] LATENCY = '0,
    parameter logic [31:0] INTERVAL = '0,
    parameter int INPUTS = 1,
    parameter int OUTPUTS = 1,
    parameter logic [64*(INPUTS+OUTPUTS)-1:0] SHAPES = '0
) (
    input  logic        aclk,
    input  logic        aresetn,
    input  logic [11:0] s_axi_awaddr,
    input  logic        s_axi_awvalid,
    output logic        s_axi_awready,
    input  logic [31:0] s_axi_wdata,
    input  logic [ 3:0] s_axi_wstrb,
    input  logic        s_axi_wvalid,
    output logic        s_axi_wready,
    output logic [ 1:0] s_axi_bresp,
    output logic        s_axi_bvalid,
    input  logic        s_axi_bready,
    input  logic [11:0] s_axi_araddr,
    input  logic        s_axi_arvalid,
    output logic        s_axi_arready,
    output logic [31:0] s_axi_rdata,
    output logic [ 1:0] s_axi_rresp,
    output logic        s_axi_rvalid,
    input  logic        s_axi_rready,
    output logic        core_resetn,
    output logic        clear,
    output logic [ 3:0] page,
    input  logic        frame_in,
    input  logic        frame_out,
    input  logic        misplaced,
    output logic [31:0] packet_frames,
    input  logic        busy,
    input  logic        hold,
    output logic        written,
    input  logic [31:0] value_counted,
    input  logic [31:0] value_above
);
    localparam logic [9:0] CONTROL = 10'h4;
    localparam logic [9:0] PACKET_FRAMES = 10'ha;
    localparam logic [9:0] PAGE = 10'hc;
    localparam logic [31:0] DIGEST_LOW = DIGEST[31:0];
    localparam logic [31:0] DIGEST_HIGH = DIGEST[63:32];
    localparam int FIRST_SHAPE = 16;
    localparam int SHAPE_WORDS = 2 * (INPUTS + OUTPUTS);

    logic [4:0] reset_left;
    logic resetting;
    logic saw_misplaced;
    logic [31:0] frames_in;
    logic [31:0] frames_out;
    logic write;
    logic [9:0] write_word;

    assign resetting = reset_left != '0;
    assign write = s_axi_awvalid & s_axi_wvalid & ~s_axi_bvalid & aresetn;
    assign write_word = s_axi_awaddr[11:2];
    assign written = write & write_word[9];
    assign clear = write & (write_word == CONTROL) & s_axi_wstrb[0] & s_axi_wdata[1];
    assign s_axi_awready = write;
    assign s_axi_wready = write;
    assign s_axi_bresp = 2'b00;
    assign s_axi_arready = ~s_axi_rvalid & aresetn;
    assign s_axi_rresp = 2'b00;

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            s_axi_bvalid <= 1'b0;
            reset_left <= '0;
            packet_frames <= 32'd1;
            page <= '0;
        end else begin
            if (write) s_axi_bvalid <= 1'b1;
            else if (s_axi_bready) s_axi_bvalid <= 1'b0;
            if (write & (write_word == CONTROL) & s_axi_wstrb[0] & s_axi_wdata[0]) reset_left <= 5'd16;
            else if (resetting & ~(hold & (reset_left == 5'd1))) reset_left <= reset_left - 1'b1;
            if (write & (write_word == PAGE) & s_axi_wstrb[0]) page <= s_axi_wdata[3:0];
            if (write & (write_word == PACKET_FRAMES)) begin
                for (int lane = 0; lane < 4; ++lane) begin
                    if (s_axi_wstrb[lane]) packet_frames[8*lane+:8] <= s_axi_wdata[8*lane+:8];
                end
            end
        end
    end

    always_ff @(posedge aclk) core_resetn <= aresetn & ~resetting;

    always_ff @(posedge aclk) begin
        if (~core_resetn) begin
            frames_in <= '0;
            frames_out <= '0;
            saw_misplaced <= 1'b0;
        end else begin
            if (frame_in) frames_in <= frames_in + 1'b1;
            if (frame_out) frames_out <= frames_out + 1'b1;
            if (misplaced) saw_misplaced <= 1'b1;
        end
    end

    logic [9:0] word;
    logic [31:0] value;
    logic above;
    logic counted;

    assign word = s_axi_araddr[11:2];
    assign above = word[9];
    assign counted = word[8];

    always_comb begin
        case (word)
            10'h0: value = 32'h62736d74;
            10'h1: value = VERSION;
            10'h2: value = DIGEST_LOW;
            10'h3: value = DIGEST_HIGH;
            10'h5: value = {30'd0, saw_misplaced, resetting | ~core_resetn | busy};
            10'h6: value = LATENCY;
            10'h7: value = INTERVAL;
            10'h8: value = frames_in;
            10'h9: value = frames_out;
            10'ha: value = packet_frames;
            10'hc: value = {28'd0, page};
            10'hb: value = {16'(OUTPUTS), 16'(INPUTS)};
            default: value = counted ? value_counted : above ? value_above : '0;
        endcase
        for (int k = 0; k < SHAPE_WORDS; ++k) begin
            if (word == $unsigned(10'(FIRST_SHAPE + k))) value = SHAPES[32*k+:32];
        end
    end

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            s_axi_rvalid <= 1'b0;
        end else if (s_axi_arvalid & s_axi_arready) begin
            s_axi_rvalid <= 1'b1;
            s_axi_rdata <= value;
        end else if (s_axi_rready) begin
            s_axi_rvalid <= 1'b0;
        end
    end

    logic unused;
    assign unused = ^{s_axi_awaddr[1:0], s_axi_araddr[1:0]};
endmodule
