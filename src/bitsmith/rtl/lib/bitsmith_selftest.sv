// SPDX-License-Identifier: Apache-2.0
// A stored frame of bytes and its result, between a serial port and the circuit: it shows whether the circuit works.
//
// After a reset with examine, the frame goes into the circuit, and what comes out is compared. Until then, and while a report is sent,
// nothing passes between host and circuit. A report has 23 bytes, the lowest of each number first:
//
//   4   0x62736d74
//   8   the project's digest
//   1   bit 0: the whole result came; bit 1: it is the right one
//   4   clock cycles from the first byte of the frame to the last one of its result
//   4   frames of the host since the last report
//   2   0, or one more than the number of the first memory that has given a word since the last report that may be wrong
//
// FRAME, RESULT   the bytes, the first one lowest
// LIMIT           cycles after which no result is expected any more
// asked           high with examine if a report is wanted
// fault           of each memory with check bits, as bitsmith_decode has it
// passed          the result is the right one
module bitsmith_selftest #(
    parameter int FRAME_BYTES = 1,
    parameter int RESULT_BYTES = 1,
    parameter logic [8*FRAME_BYTES-1:0] FRAME = '0,
    parameter logic [8*RESULT_BYTES-1:0] RESULT = '0,
    parameter logic [63:0] DIGEST = '0,
    parameter logic [31:0] LIMIT = '0,
    parameter int MEMORIES = 1,
    parameter int NUMBER_BITS = (FRAME_BYTES > 1) ? $clog2(FRAME_BYTES) : 1,
    parameter int RESULT_BITS = (RESULT_BYTES > 1) ? $clog2(RESULT_BYTES) : 1
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   examine,
    input  logic                   asked,
    input  logic                   host_valid,
    input  logic [            7:0] host_data,
    input  logic [NUMBER_BITS-1:0] host_number,
    output logic                   in_valid,
    output logic [            7:0] in_data,
    output logic [NUMBER_BITS-1:0] in_number,
    input  logic                   out_valid,
    output logic                   out_ready,
    input  logic [            7:0] out_data,
    output logic                   reply_valid,
    input  logic                   reply_ready,
    output logic [            7:0] reply_data,
    input  logic [ 2*MEMORIES-1:0] fault,
    output logic                   passed
);
    localparam int REPORT_BYTES = 23;
    localparam logic [4:0] REPORT = 5'(REPORT_BYTES);
    localparam logic [NUMBER_BITS-1:0] LAST = NUMBER_BITS'(FRAME_BYTES - 1);
    localparam logic [RESULT_BITS-1:0] LAST_RESULT = RESULT_BITS'(RESULT_BYTES - 1);

    logic testing;
    logic sending;
    logic is_right;
    logic [31:0] cycles;
    logic [31:0] frames;
    logic [4:0] report_left;
    logic [8*REPORT_BYTES-1:0] report;

    logic [MEMORIES-1:0] faults;
    logic [15:0] now;  // one more than the number of the first memory with a fault
    logic [15:0] first_fault;
    logic unused;

    assign unused = ^fault;

    always_ff @(posedge clk) begin
        for (int k = 0; k < MEMORIES; ++k) begin
            if (fault[2*k+1]) faults[k] <= 1'b1;
            else faults[k] <= 1'b0;
        end
    end

    always_comb begin
        now = '0;
        for (int k = MEMORIES; k > 0; --k) begin
            if (faults[k-1]) now = $unsigned(16'(k));
        end
    end

    // Bytes are read from memory a cycle ahead: one moves in every other cycle.
    logic [7:0] frame[FRAME_BYTES];
    logic [7:0] result[RESULT_BYTES];
    logic [7:0] frame_byte;
    logic [7:0] result_byte;
    logic frame_read;
    logic result_read;
    logic [NUMBER_BITS-1:0] sent;
    logic [RESULT_BITS-1:0] taken;

    initial begin
        for (int k = 0; k < FRAME_BYTES; ++k) frame[k] = FRAME[8*k+:8];
        for (int k = 0; k < RESULT_BYTES; ++k) result[k] = RESULT[8*k+:8];
    end

    always @(posedge clk) begin
        frame_byte <= frame[sent];
        result_byte <= result[taken];
    end

    // The circuit's signals begin and end in registers here: paths through the test would be the slowest of a small circuit.
    logic held;
    logic [7:0] held_data;
    logic put;
    logic take;
    logic leave;
    logic reporting;
    logic late;

    assign put = sending & frame_read;
    assign take = testing & result_read & held;
    assign leave = testing ? result_read : reply_ready & ~reporting;
    assign late = cycles == LIMIT;
    assign reporting = report_left != '0;
    assign out_ready = ~held;
    assign reply_valid = ~testing & (reporting | held);
    assign reply_data = reporting ? report[7:0] : held_data;

    always_ff @(posedge clk) begin
        in_valid <= ~rst & (testing ? put : host_valid & ~reporting);
        in_data <= testing ? frame_byte : host_data;
        in_number <= testing ? sent : host_number;
        held <= ~rst & (held ? ~leave : out_valid);
        if (~held) held_data <= out_data;
    end

    always_ff @(posedge clk) begin
        if (rst) begin
            testing <= examine;
            sending <= examine;
            frame_read <= 1'b0;
            result_read <= 1'b0;
            sent <= '0;
            taken <= '0;
            report_left <= '0;
            cycles <= '0;
            is_right <= 1'b1;
            if (examine) passed <= 1'b0;
            if (examine & ~asked) frames <= '0;
            if (examine & ~asked) first_fault <= '0;
        end else if (testing) begin
            cycles <= cycles + 1'b1;
            frame_read <= ~frame_read;
            result_read <= ~result_read | ~take;
            if (put) begin
                sending <= sent != LAST;
                sent <= sent + 1'b1;
            end
            if (take) begin
                taken <= taken + 1'b1;
                if (held_data != result_byte) is_right <= 1'b0;
            end
            if (late | (take & (taken == LAST_RESULT))) begin
                testing <= 1'b0;
                sending <= 1'b0;
                passed <= ~late & is_right & (held_data == result_byte);
                report <= {
                    first_fault, frames, cycles, 6'd0, ~late & is_right & (held_data == result_byte), ~late, DIGEST, 32'h62736d74
                };
                if (asked) report_left <= REPORT;
                if (asked) frames <= '0;
                if (asked) first_fault <= '0;
            end
        end else if (reporting) begin
            if (reply_ready) begin
                report <= report >> 8;
                report_left <= report_left - 1'b1;
            end
        end else if (host_valid & (host_number == LAST)) begin
            frames <= frames + 1'b1;
        end
        if (~rst & (first_fault == '0)) first_fault <= now;
    end
endmodule
