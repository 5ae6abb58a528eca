"""Runs in the clients' own environment, against two servers."""

import os

import pytest

os.environ["DEFAULT_MAX_RETRIES"] = (
    "0"  # LiteLLM's, read when it is imported: some of its providers heed nothing else
)
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it asks the network for the prices of models otherwise


@pytest.fixture(scope="session")
def url() -> str:
    """Of the server that script.py tells of, without /v1."""
    return os.environ["MLXQ_TEST_URL"]


@pytest.fixture(scope="session")
def sole_url() -> str:
    """Of a server that has one model for each task."""
    return os.environ["MLXQ_TEST_SOLE_URL"]
