"""From a core program to verified sources and measured reports."""
