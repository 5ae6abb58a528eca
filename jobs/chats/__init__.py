"""Chats that are kept after their answer, until they are deleted or too old."""
