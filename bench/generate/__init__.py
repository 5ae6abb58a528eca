"""Answers of small models: streams, and what they bear beside other work."""
