"""Multifd: guest memory that was sent through channels beside the main one, put back into one stream."""
