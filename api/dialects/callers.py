"""Whose client a request comes from, as its headers tell: some paths are those of several dialects."""

from starlette.datastructures import Headers


def is_cohere_client(headers: Headers) -> bool:
    """Whether it is one of Cohere's own, in whatever language."""
    return _calls_itself("cohere", headers)


def is_voyage_client(headers: Headers) -> bool:
    """Whether it is one of Voyage AI's own, in whatever language. Their paths are OpenAI's and Jina's."""
    return "x-voyage-client-user-agent" in headers or _calls_itself("voyage", headers)


def is_anthropic_client(headers: Headers) -> bool:
    """Whether it speaks Anthropic's dialect, in which every request names the dialect's version."""
    return "anthropic-version" in headers


def _calls_itself(name: str, headers: Headers) -> bool:
    return any(headers.get(each, "").lower().startswith(name) for each in ("x-fern-sdk-name", "user-agent"))
