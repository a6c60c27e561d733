"""Networks of processes that pass tokens: what they compute, when, and how deep their FIFOs are."""
