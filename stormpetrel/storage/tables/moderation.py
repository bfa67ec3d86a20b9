"""Reports, and what moderators did."""
