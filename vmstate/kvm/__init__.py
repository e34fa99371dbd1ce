"""What the KVM of a POWER host answers: asking it, reading its answers, and the host file that they make."""
