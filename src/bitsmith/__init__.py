"""bitsmith: trained neural networks in, verified bit-exact FPGA firmware out."""
