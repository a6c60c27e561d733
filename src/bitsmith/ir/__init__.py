"""The core program: exact fixed-point types, about thirty ops, and the rules that hold between them.

Knows no layer, no framework and no hardware.
"""
