"""Ingests: those that run, those that ran, what went wrong, and beginning one."""
