"""Real processes with the small chat model that the repository brings: `mlxq serve`, `mlxq worker`, Redis."""

from collections.abc import Iterator

import openai
import pytest

from tests.support.folders import TINY_CHAT
from tests.support.stack import MODEL, Stack

LEASE_S = 1


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    models = (f"tiny-chat={TINY_CHAT}", MODEL)
    with Stack(tmp_path_factory.mktemp("chat"), *models, lease_s=LEASE_S) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0)
