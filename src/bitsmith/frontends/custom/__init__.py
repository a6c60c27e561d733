"""Layers of the user's own: functions of the user that say with operators, or with layers, what they compute."""
