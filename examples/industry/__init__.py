"""Industry: scratched surfaces found by a camera, and worn bearings by their vibration."""
