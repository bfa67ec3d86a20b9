"""What is searched, and what is counted for trends."""
