"""PCI: host bridges, DMA windows, buses, the common state of PCI devices, and plain PCI devices."""
