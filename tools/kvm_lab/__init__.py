"""The parts of ``tools/kvm-lab``: real KVM of POWER hosts, on emulated processors (docs/kvm-lab.md)."""
