"""What is on offer, and how its bytes arrive."""
