from collections.abc import Iterator

import openai
import pytest


@pytest.fixture(scope="session")
def client(server: str) -> Iterator[openai.OpenAI]:
    """The official client, which repeats nothing by itself."""
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as one:
        yield one
