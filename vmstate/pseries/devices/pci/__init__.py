"""PCI: host bridges, DMA windows, buses, what every PCI device sends, and plain PCI devices."""
