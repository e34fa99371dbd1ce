"""Real QEMUs and the simulator, asked the same questions; where they differ."""
