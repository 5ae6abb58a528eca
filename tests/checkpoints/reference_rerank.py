"""Make the rerankers' part of tests/checkpoints/golden/ with transformers: what every pair's logit should be.

Run by hand, in an environment of its own (torch, transformers and sentence-transformers are no dependencies of mlxq):

    python -m tests.checkpoints.reference_rerank

sentence-transformers' CrossEncoder is asked for the same pairs, for what it makes of the logits.
"""

import tempfile
from pathlib import Path

import numpy as np
import sentence_transformers  # pyright: ignore[reportMissingImports]
import torch  # pyright: ignore[reportMissingImports]
import transformers

from tests.checkpoints.rerankers import CROSS_ENCODERS, NAMES, make
from tests.checkpoints.texts import OVERLONG, PAIRS
from tests.checkpoints.versions import GOLDEN, write_versions

PACKAGES = ("torch", "transformers", "sentence-transformers")
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
OTHER_INSTRUCTION = "Find songs of the sea"


class CrossEncoderReference:
    """One pair at a time, and so without padding."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        self.limit = limit

    def logit(self, query: str, document: str) -> tuple[float, int]:
        """And the tokens that were read."""
        # As lists: with an empty text for a second one, it would not see a pair.
        inputs = self.tokenizer(
            [query], [document], truncation="only_second", max_length=self.limit, return_tensors="pt"
        )
        with torch.no_grad():
            return float(self.model(**inputs).logits[0, 0]), inputs["input_ids"].shape[1]


class PromptReference:
    """The model card's functions (https://huggingface.co/Qwen/Qwen3-Reranker-0.6B), one pair at a time."""

    def __init__(self, folder: Path, limit: int, instruction: str = INSTRUCTION) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        prefix = (
            "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the "
            'Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
        )
        suffix = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        self.prefix = self.tokenizer.encode(prefix, add_special_tokens=False)
        self.suffix = self.tokenizer.encode(suffix, add_special_tokens=False)
        self.no, self.yes = self.tokenizer.convert_tokens_to_ids(["no", "yes"])
        self.limit, self.instruction = limit, instruction

    def logit(self, query: str, document: str) -> tuple[float, int]:
        """And the tokens that were read."""
        body = f"<Instruct>: {self.instruction}\n<Query>: {query}\n<Document>: {document}"
        room = self.limit - len(self.prefix) - len(self.suffix)
        read = self.tokenizer(body, truncation="longest_first", max_length=room)["input_ids"]
        ids = [*self.prefix, *read, *self.suffix]
        with torch.no_grad():
            last = self.model(input_ids=torch.tensor([ids])).logits[0, -1]
        return float(last[self.yes] - last[self.no]), len(ids)


def store(name: str, folder: Path) -> None:
    limit = {"modernbert": 200, "modernbert-cls": 200, "qwen3-reranker": 448}.get(name, 128)
    crossed = name in CROSS_ENCODERS
    arrays = _golden((CrossEncoderReference if crossed else PromptReference)(folder, limit))
    if crossed:
        encoder = sentence_transformers.CrossEncoder(
            str(folder), device="cpu", model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"}
        )
        scores = [encoder.predict([pair])[0] for pair in PAIRS]
        arrays["scores"] = np.array(scores, dtype=np.float32)
    else:
        no_and_yes = np.stack([np.zeros(len(PAIRS)), arrays["logits"][: len(PAIRS)]])
        scores = torch.nn.functional.log_softmax(torch.tensor(no_and_yes), dim=0)[1].exp()
        arrays["scores"] = scores.numpy().astype(np.float32)
        told = PromptReference(folder, limit, OTHER_INSTRUCTION)
        arrays["logits.told"] = np.array([told.logit(*pair)[0] for pair in PAIRS], dtype=np.float32)
    np.savez_compressed(GOLDEN / f"rerank-{name}.npz", allow_pickle=False, **arrays)
    print(name, {key: value.round(3).tolist() for key, value in arrays.items()})


def _golden(reference: CrossEncoderReference | PromptReference) -> dict[str, np.ndarray]:
    """Of the pairs, then of the overlong one."""
    found = [reference.logit(*pair) for pair in (*PAIRS, OVERLONG)]
    return {
        "logits": np.array([logit for logit, _ in found], dtype=np.float32),
        "tokens": np.array([tokens for _, tokens in found], dtype=np.int32),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for name in NAMES:
            store(name, make(name, Path(scratch) / name))
    write_versions("versions-rerank.json", PACKAGES)


if __name__ == "__main__":
    main()
