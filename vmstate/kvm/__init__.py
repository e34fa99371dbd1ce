"""The KVM of a POWER host: asking it, reading its answers, and the host file that they make."""
