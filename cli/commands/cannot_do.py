"""Moved to cli/cannot_do.py."""

from cli.cannot_do import CannotDo

__all__ = ["CannotDo"]
