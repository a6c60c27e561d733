"""Fidelity of a program to the user's model: measured on data after each conversion, judged, and reported."""
