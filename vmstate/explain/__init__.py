"""Explain QEMU's lines: a table of lines, wrappers around them, the values in them, known bugs."""
