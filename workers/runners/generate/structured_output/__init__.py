"""Answers that must follow a JSON schema, a regular expression or a grammar."""
