"""What the server that all clients talk to serves, and what it answers. Needs the standard library alone."""

CHAT = "org/chat"
EMBEDDER = "org/model"
RERANKER = "org/reranker"
PAGES = "org/pages"
UNKNOWN = "org/none"
FULL = "org/full-"
"""Put before the name of one of the models above, without its org/: always overloaded. So is BROKEN, with a 500."""
BROKEN = "org/broken-"

SIZE = 384
"""Of the embedder's vectors."""

CALL_CUE = "call"
"""A user's message that begins with it is answered by a call of the first tool that was not called before."""

HELLO = "one two three"
"""Answered by itself, a word at a time. A token is a word."""
CALL = "call the tool"
TOO_LONG = "word " * 5000
"""The chat model reads 4096 tokens."""

EXAMPLES = {"string": "word", "integer": 7, "number": 1.5, "boolean": True, "null": None}
"""Values of arguments and of answers in JSON, by their types."""

QUERY = "deep learning"
DOCUMENTS = ["the weather is nice", "deep learning uses networks", "learning to swim"]
RANKING = [(1, 1.0), (2, 0.5), (0, 0.0)]
"""Of the DOCUMENTS by the QUERY: their places and scores, the best first."""

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""


def full(model: str) -> str:
    return FULL + model.partition("/")[2]


def broken(model: str) -> str:
    return BROKEN + model.partition("/")[2]
