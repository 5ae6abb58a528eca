"""From tokens to text, reasoning, tool calls and log-probabilities."""
