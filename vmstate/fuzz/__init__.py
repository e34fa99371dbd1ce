"""Mutations of streams, the targets that read them, and campaigns of both."""
