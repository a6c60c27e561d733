"""Driving: the road found in a camera's image by a small U-Net."""
