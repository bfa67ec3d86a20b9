"""The attacks: what each sends, from where, how often. Pure sequences, the same for the same seed."""
