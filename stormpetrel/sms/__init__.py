"""Text messages: alphabets, parts, numbers, keywords and the SMPP codec. Pure functions; no I/O and no clock."""
