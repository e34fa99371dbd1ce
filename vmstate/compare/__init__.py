"""Two things side by side: a stream and its rewriting, its description and our declarations, two streams."""
