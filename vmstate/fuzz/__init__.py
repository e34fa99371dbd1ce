"""Damage done to streams on purpose, and what must hold whatever is done."""
