"""Runs in the clients' own environment, against two servers."""

import os

import pytest


@pytest.fixture(scope="session")
def url() -> str:
    """Of the server that script.py tells of, without /v1."""
    return os.environ["MLXQ_TEST_URL"]


@pytest.fixture(scope="session")
def sole_url() -> str:
    """Of a server that has one model for each task."""
    return os.environ["MLXQ_TEST_SOLE_URL"]
