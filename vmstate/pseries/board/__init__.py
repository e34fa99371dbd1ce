"""The board that devices are plugged into: buses, slots, interrupt numbers, section ids, instances."""
