"""Make tests/checkpoints/golden/rerank-qwen3-vl.npz with transformers and qwen_vl_utils: what logits should be.

Run by hand, in an environment of its own (torch, torchvision, transformers and qwen-vl-utils are no dependencies of
mlxq):

    python -m tests.checkpoints.reference_mixed_rerank

The steps are those of the code that is published with Qwen3-VL-Reranker (scripts/qwen3_vl_reranker.py of
https://huggingface.co/Qwen/Qwen3-VL-Reranker-2B). Each pair is computed alone, and so without padding.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import transformers
from qwen_vl_utils.vision_process import process_vision_info  # pyright: ignore[reportMissingImports]

from tests.checkpoints.mixed_pairs import INSTRUCTION, OVERLONG, PAIRS, Parts, make
from tests.checkpoints.qwen3_vl import PATCH, POSITIONS, content_of
from tests.checkpoints.versions import GOLDEN, write_versions

PACKAGES = ("torch", "torchvision", "transformers", "qwen-vl-utils", "pillow")

OWN_INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."
"""What is published allows 1280 blocks or 1800; the small model's files ask for fewer."""
ENDING = "<|im_end|>\n<|im_start|>assistant\n"
"""Of what is cut it is kept: the published code's last five tokens, which are more in the small vocabulary."""


class Reference:
    def __init__(self, folder: Path) -> None:
        options = {"dtype": torch.float32, "attn_implementation": "eager"}
        self.processor: Any = transformers.Qwen3VLProcessor.from_pretrained(folder)
        model: Any = transformers.Qwen3VLForConditionalGeneration.from_pretrained(folder, **options)
        self.model = model.model.eval()
        no, yes = (self.processor.tokenizer.get_vocab()[word] for word in ("no", "yes"))
        self.score = model.lm_head.weight.data[yes] - model.lm_head.weight.data[no]
        known = self.processor.tokenizer.added_tokens_decoder
        self.ending = len(self.processor.tokenizer.encode(ENDING))
        self.specials = {token for token, added in known.items() if added.special}

    def logit(self, query: Parts, document: Parts, instruction: str) -> tuple[float, list[int]]:
        """And the tokens that were read."""
        conversation = _conversation(query, document, instruction)
        text = self.processor.apply_chat_template([conversation], add_generation_prompt=True, tokenize=False)
        images, _ = process_vision_info([conversation], image_patch_size=PATCH)
        inputs = self.processor(text=text, images=images, do_resize=False, return_tensors="pt")
        kept = self._kept(inputs["input_ids"][0].tolist())
        for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
            if name in inputs:
                inputs[name] = inputs[name][:, kept]
        with torch.no_grad():
            last = self.model(**inputs).last_hidden_state[0, -1]
        return float(last @ self.score), inputs["input_ids"][0].tolist()

    def _kept(self, ids: Sequence[int]) -> list[int]:
        """The places of the tokens that are read: of a text that is too long all special ones, and the first others.

        The published code counts the limit without the ending; here it is within the limit.
        """
        body, limit = ids[: -self.ending], POSITIONS - self.ending
        room = len(body) if len(body) <= limit else limit - sum(token in self.specials for token in body)
        kept: list[int] = []
        for place, token in enumerate(body):
            if token in self.specials:
                kept.append(place)
            elif room > 0:
                kept.append(place)
                room -= 1
        return [*kept, *range(len(body), len(ids))]


def _conversation(query: Parts, document: Parts, instruction: str) -> list[dict[str, Any]]:
    system = (
        "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
        'Note that the answer can only be "yes" or "no".'
    )
    parts = (f"<Instruct>: {instruction}", "<Query>:", *query, "\n<Document>:", *document)
    return [
        {"role": "system", "content": [{"type": "text", "text": system}]},
        {"role": "user", "content": [content_of(part) for part in parts]},
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        reference = Reference(make(Path(scratch) / "qwen3-vl-reranker"))
        found = [reference.logit(*pair, OWN_INSTRUCTION) for pair in (*PAIRS, *OVERLONG)]
        told = [reference.logit(*pair, INSTRUCTION)[0] for pair in PAIRS]
    logits = torch.tensor([logit for logit, _ in found])
    np.savez_compressed(
        GOLDEN / "rerank-qwen3-vl.npz",
        allow_pickle=False,
        logits=logits.numpy(),
        scores=torch.sigmoid(logits).numpy(),
        told=np.array(told, dtype=np.float32),
        tokens=np.array([len(ids) for _, ids in found], dtype=np.int32),
        ids=np.concatenate([ids for _, ids in found]).astype(np.int32),
    )
    write_versions("versions-page-rerank.json", PACKAGES)
    print(torch.sigmoid(logits).numpy().round(3).tolist(), [len(ids) for _, ids in found])


if __name__ == "__main__":
    main()
