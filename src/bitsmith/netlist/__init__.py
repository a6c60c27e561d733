"""Word-level datapath: scalar netlists, adder graphs and their pipelining."""
