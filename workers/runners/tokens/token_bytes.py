"""What the tokens of a vocabulary stand for, in bytes."""

from typing import Any

from tokenizers import Tokenizer


def _byte_of_character() -> dict[str, int]:
    """GPT-2's table: which byte a character of a byte-level vocabulary stands for (printable ones are themselves)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


class TokenBytes:
    """Of one tokenizer. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
        self._bytes = _byte_of_character() if _is_byte_level(tokenizer) else None
        self._inner: str = getattr(tokenizer.model, "continuing_subword_prefix", None) or ""
        """Begins the name of a token within a word: `##` of WordPiece."""

    def is_added(self, token: int) -> bool:
        """Whether it was added to the vocabulary, as end markers are."""
        return self._tokenizer.id_to_token(token) in self._added

    def of_id(self, token: int) -> bytes:
        """Empty for an id that the vocabulary does not have."""
        name = self._tokenizer.id_to_token(token)
        return b"" if name is None else self.of_name(name)

    def of_name(self, name: str) -> bytes:
        """name: a token as the vocabulary has it."""
        if name in self._added:
            return name.encode()
        if self._bytes is not None:
            return bytes(self._bytes[character] for character in name if character in self._bytes)
        if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
            return bytes([int(name[3:5], 16)])
        if self._inner and len(name) > len(self._inner):
            name = name.removeprefix(self._inner)
        return name.replace("▁", " ").encode()


def _is_byte_level(tokenizer: Tokenizer) -> bool:
    decoder: Any = tokenizer.decoder
    return "ByteLevel" in repr(decoder)
