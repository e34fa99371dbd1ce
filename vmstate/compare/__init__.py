"""Compare a stream with its rewriting, its description with our declarations, and one stream with another."""
