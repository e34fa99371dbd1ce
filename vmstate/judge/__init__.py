"""Comparison of the simulator with real QEMUs: the same questions to both, and their differences."""
