"""Devices on SCSI buses."""
