"""Interrupt controllers: XICS and XIVE."""
