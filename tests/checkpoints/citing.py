"""A small chat model with eyes that gives one answer to whatever it is asked, and cites its first source.

Each token of the answer follows from the one before it: the layers add nothing, and the head knows what comes next.
"""

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from tests.checkpoints.make import write_json
from tests.checkpoints.vision import make as make_vision
from tests.checkpoints.weights import changed_weights

ANSWER = "Red [1]."
"""No token of it comes twice."""
_POSITIONS = 8192
_LOUD = 10.0
_MODEL = "language_model.model"


def make(folder: Path) -> Path:
    """Write the model into `folder`, which is made."""
    make_vision("qwen2_5_vl", folder)
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, "max_position_embeddings": _POSITIONS})
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # A prompt ends with a line's end, behind the role that is to answer.
    said = [*tokenizer.encode("\n").ids, *tokenizer.encode(ANSWER).ids, config["eos_token_id"]]
    assert len(set(said)) == len(said)
    with changed_weights(folder) as weights:
        for name in weights:
            if name.startswith(_MODEL) and name.endswith(("o_proj.weight", "down_proj.weight")):
                weights[name][:] = 0
        states = weights[f"{_MODEL}.embed_tokens.weight"][said[:-1]]
        states /= np.sqrt((states**2).mean(axis=1, keepdims=True))
        head = weights["language_model.lm_head.weight"]
        head[:] = 0
        head[said[1:]] = _LOUD * states * weights[f"{_MODEL}.norm.weight"]
    return folder
