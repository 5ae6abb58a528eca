"""What must be so in the end, and who looks."""
