"""The start of QEMU: from a command line to a machine, or to a refusal in QEMU's words."""
