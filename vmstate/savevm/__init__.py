"""QEMU's savevm (migration/savevm.c), for any machine: entries, saver, loader, commands, verdict."""
