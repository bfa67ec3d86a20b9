"""What a reader does not want to see."""
