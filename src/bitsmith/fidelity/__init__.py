"""Whether a program means what the user's model means: measured on data after each conversion, judged, and told."""
