"""What the figures in docs/numbers.md come from. Every number is a ratio measured in one run."""
