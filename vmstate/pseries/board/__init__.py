"""What devices are plugged into: buses, slots, interrupt numbers, section ids, instances."""
