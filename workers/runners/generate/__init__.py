"""Chats and prompts in, written answers out, a token at a time."""
