"""The plan of the hardware: devices, delays, and which architecture each part of a program gets."""
