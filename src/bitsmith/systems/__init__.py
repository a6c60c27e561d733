"""Systems for boards: what the vendors' tools need to put a circuit beside a processor or into a host, and the driver for it.

One file per vendor's system; boards are data of `bitsmith.devices`. Nothing here knows what a circuit computes.
"""
