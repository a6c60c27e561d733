"""External tools: co-simulation, synthesis, place and route."""
