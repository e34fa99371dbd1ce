"""What QEMU's lines mean: a table of lines, wrappers around them, what they carry, known bugs."""
