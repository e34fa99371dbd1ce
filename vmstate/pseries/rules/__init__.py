"""What a pseries machine does with its facts: rules, each as QEMU has it, which a proposal may replace."""
