"""The POWER pseries machine, as declared history."""
