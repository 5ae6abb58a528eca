"""What is seen of a conversation, and what is typed."""
