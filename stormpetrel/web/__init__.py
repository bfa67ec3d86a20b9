"""Doors, part two: the web pages. They parse, call a rule and render."""
