"""Whose client a request comes from, as its headers tell: some paths are those of several dialects."""

from starlette.datastructures import Headers


def is_cohere_client(headers: Headers) -> bool:
    """Whether it is one of Cohere's own, in whatever language."""
    return any(
        headers.get(name, "").lower().startswith("cohere") for name in ("x-fern-sdk-name", "user-agent")
    )


def is_voyage_client(headers: Headers) -> bool:
    """Whether it is Voyage AI's own. Its paths are OpenAI's and Jina's."""
    return "x-voyage-client-user-agent" in headers


def is_anthropic_client(headers: Headers) -> bool:
    """Whether it speaks Anthropic's dialect, in which every request names the dialect's version."""
    return "anthropic-version" in headers
