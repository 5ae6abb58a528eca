"""Which tokens end an answer: all that the files of a model's folder call an end, and the end of a turn."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mlx_lm.tokenizer_utils import TokenizerWrapper
from tokenizers import Tokenizer

from workers.runners.checkpoint.folder import read_json
from workers.runners.generate.output.segments import transitions_of

_ANSWER = "mlxq answer"
"""What an assistant is made to say, to see what the chat template puts behind it."""


def end_ids(folder: Path, config: Mapping[str, Any], others: Iterable[int] = ()) -> list[int] | None:
    """The ids that config.json, its text_config or generation_config.json have as eos_token_id, and `others`.

    None where there are none: the tokenizer's own end token is left, or what mlx-lm knows of the family.
    Raises InvalidInput for a file that is not JSON.
    """
    found = set(others)
    for source in (config, config.get("text_config"), read_json(folder / "generation_config.json")):
        ends = source.get("eos_token_id") if isinstance(source, Mapping) else None
        found.update(each for each in (ends if isinstance(ends, list) else [ends]) if type(each) is int)
    return sorted(found) or None


def turn_end(tokenizer: TokenizerWrapper, backend: Tokenizer) -> int | None:
    """The token of the tokenizer's own with which the chat template ends an assistant's turn.

    No file need call it an end: there are models that end with <|im_end|> while all files say <|endoftext|>.
    None where no such token is right behind the turn, where it marks parts of an answer, or where more of the template
    follows it. backend: the same tokenizer.
    """
    if not tokenizer.has_chat_template:
        return None
    behind = _behind(tokenizer, lambda text: text) or _behind(tokenizer, lambda text: [_part(text)])
    encoded = backend.encode(behind, add_special_tokens=False)
    ids = [each for each in encoded.ids if backend.decode([each], skip_special_tokens=False).strip()]
    end = backend.get_added_tokens_decoder().get(ids[0]) if ids else None
    edges = transitions_of(tokenizer, reasoning=True, tools=True).values()
    if end is None or any(end.content in mark for kind in edges for mark, _ in kind):
        return None
    return ids[0] if set(ids[1:]) <= {ids[0], *tokenizer.eos_token_ids} else None


def _part(text: str) -> dict[str, str]:
    """A message's text as the templates of vision models want it."""
    return {"type": "text", "text": text}


def _behind(tokenizer: TokenizerWrapper, content: Callable[[str], Any]) -> str:
    """What the template puts behind an assistant's last turn; "" where it does not show what the turn says."""
    turns = [
        {"role": "user", "content": content("Hello.")},
        {"role": "assistant", "content": content(_ANSWER)},
    ]
    try:
        shown = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception:  # noqa: BLE001  # a template may refuse anything; then nothing is known
        return ""
    _, answer, behind = shown.rpartition(_ANSWER)
    return behind if answer else ""
