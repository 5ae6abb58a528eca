"""Tokenising: texts as the tokens that a model reads, and tokens as text. Nothing of it runs on the device."""

import msgspec

from jobs.generate import Chat


class TokenizeJob(msgspec.Struct, frozen=True, omit_defaults=True, tag="tokenize", tag_field="task"):
    """Turn texts, or one chat, into tokens of the model's own tokenizer."""

    model: str
    served_as: str
    """The model's own task: the job goes through the queue of that task."""
    texts: tuple[str, ...] = ()
    chat: Chat | None = None
    """In the place of texts: messages that the model's chat template turns into one. Of a generator only."""
    add_special_tokens: bool = True
    """Texts have those that the tokenizer puts around every text. A chat says for itself."""
    detailed: bool = False
    """With the text of each token."""


class DetokenizeJob(msgspec.Struct, frozen=True, omit_defaults=True, tag="detokenize", tag_field="task"):
    """Turn lists of tokens into texts."""

    model: str
    served_as: str
    """As in TokenizeJob."""
    ids: tuple[tuple[int, ...], ...]
    skip_special_tokens: bool = False


class Token(msgspec.Struct, frozen=True, array_like=True):
    """A token of a text."""

    name: str
    """As the vocabulary has it: `Ġmeal`, `##al`."""
    bytes: bytes
    """What it stands for; of a character that several tokens make, a part."""
    is_added: bool = False
    """The tokenizer has put it there: it is no part of the text."""
    begin: int = 0
    """Where it begins in its text and where it ends, in characters; both 0 where the text is not known."""
    end: int = 0


class TokenizedText(msgspec.Struct, frozen=True, array_like=True):
    """The tokens of one text."""

    ids: bytes
    """uint32, little-endian, shape (tokens,)."""
    tokens: tuple[Token, ...] = ()
    """One for each id, where they were asked for."""


class TokenizeResult(msgspec.Struct, frozen=True, tag="tokenize_result"):
    """One element for each text, or for the chat."""

    texts: tuple[TokenizedText, ...]


class DetokenizeResult(msgspec.Struct, frozen=True, tag="detokenize_result"):
    """One text for each list of tokens."""

    texts: tuple[str, ...]
