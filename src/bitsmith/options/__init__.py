"""Options of conversions: one record for each, and what follows from them.

In: what users give as arguments, keys or flags. Out: checked values. Knows which options there are and how they are spelled, and
not what they do.
"""
