"""What a conversation is made of: the model, what was said, and how it is to answer."""

from typing import Any

import msgspec

Think = bool | str


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """images: base64."""

    role: str
    content: str
    images: tuple[str, ...] = ()


class Session(msgspec.Struct):
    """keep_alive, think, format: as in Ollama's requests; None leaves them to the server.

    sees: whether the model takes images. parameters: Ollama's options.
    """

    model: str
    sees: bool = False
    system: str = ""
    messages: list[Message] = []
    parameters: dict[str, Any] = {}
    format: Any = None
    think: Think | None = None
    keep_alive: str | None = None
    hides_thinking: bool = False
    verbose: bool = False
    wraps_words: bool = True

    def request(self, *, stream: bool = True) -> dict[str, Any]:
        """The body of /api/chat."""
        system = [Message("system", self.system)] if self.system else []
        body: dict[str, Any] = {"model": self.model, "messages": [*system, *self.messages], "stream": stream}
        for name in ("format", "think", "keep_alive"):
            if (value := getattr(self, name)) is not None:
                body[name] = value
        if self.parameters:
            body["options"] = self.parameters
        return body
