"""The vmdescription at the end of a stream: found, indexed, edited in place."""
