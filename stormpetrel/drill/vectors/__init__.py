"""The attacks: what each sends, from which address, how often. Pure sequences, the same for the same seed."""
