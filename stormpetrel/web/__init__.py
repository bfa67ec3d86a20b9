"""Doors, part two: the web pages: parse, call a rule, render."""
