"""Edge: keywords spotted in a stream of sound, on a small Lattice part."""
