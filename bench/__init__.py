"""What the README's numbers come from. Every number is a ratio measured in one run."""
