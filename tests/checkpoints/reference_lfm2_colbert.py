"""Make tests/checkpoints/golden/lfm2*.npz with PyLate: what LFM2-ColBERT's and LFM2.5-ColBERT's vectors should be.

Run by hand, in an environment of its own (torch, transformers and PyLate are no dependencies of mlxq):

    python -m tests.checkpoints.reference_lfm2_colbert

Each text is computed alone, and so without padding: transformers 5 treats a query's filling otherwise in a batch than
alone, and only the latter is what the models were trained with. PyLate is told lengths at which it cuts nothing off.

LFM2.5-ColBERT brings its own code, which makes transformers' LFM2 read both ways; `read_both_ways` says the same in
other words: attention leaves out nothing but what is masked, and each convolution is centred on its token.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from pylate import models, scores  # pyright: ignore[reportMissingImports]
from transformers.models.lfm2 import modeling_lfm2

from tests.checkpoints.lfm2_colbert import DOCUMENTS, NAMES, QUERIES, QUERY_LENGTH, make, reads_both_ways
from tests.checkpoints.versions import GOLDEN, write_versions

LONG = 400
PACKAGES = ("torch", "transformers", "sentence-transformers", "pylate")


def read_both_ways() -> None:
    def mask(attention_mask: torch.Tensor, inputs_embeds: torch.Tensor, **_: Any) -> torch.Tensor:
        seen = attention_mask.bool()[:, None, None, :].expand(-1, 1, inputs_embeds.shape[1], -1)
        return torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)

    def forward(self: Any, hidden_states: torch.Tensor, **_: Any) -> torch.Tensor:
        gate, after, values = self.in_proj(hidden_states).transpose(-1, -2).chunk(3, dim=-2)
        side = self.L_cache // 2
        mixed = torch.nn.functional.conv1d(
            gate * values, self.conv.weight, self.conv.bias, padding=side, groups=values.shape[1]
        )
        return self.out_proj((after * mixed[..., : values.shape[-1]]).transpose(-1, -2))

    lfm2: Any = modeling_lfm2
    lfm2.create_causal_mask = mask
    lfm2.Lfm2ShortConv.forward = forward


def store(name: str, model: Any) -> None:
    """queries before documents. kept vectors of each, its ids, and every query's score with every document."""
    vectors: list[np.ndarray] = []
    ids: list[np.ndarray] = []
    for texts, is_query in ((QUERIES, True), (DOCUMENTS, False)):
        for text in texts:
            model.query_length, model.document_length = LONG, LONG
            model.query_length = max(
                QUERY_LENGTH, model.tokenize([text], is_query=False)["input_ids"].shape[1]
            )
            ids.append(model.tokenize([text], is_query)["input_ids"][0].numpy())
            vectors.append(model.encode([text], is_query=is_query, show_progress_bar=False)[0])
    found = [
        [
            float(scores.colbert_scores(query[None], document[None])[0, 0])
            for document in vectors[len(QUERIES) :]
        ]
        for query in vectors[: len(QUERIES)]
    ]
    np.savez_compressed(
        GOLDEN / f"{name}-colbert.npz",
        allow_pickle=False,
        vectors=np.concatenate(vectors).astype(np.float16),
        counts=np.array([len(each) for each in vectors], dtype=np.int32),
        ids=np.concatenate(ids).astype(np.int32),
        tokens=np.array([len(each) for each in ids], dtype=np.int32),
        scores=np.array(found, dtype=np.float32),
    )
    print(name, [len(each) for each in vectors], [len(each) for each in ids], np.round(found, 2).tolist())


def main() -> None:
    causal = [name for name in NAMES if not reads_both_ways(name)]
    with tempfile.TemporaryDirectory() as scratch:
        for name in [*causal, *(each for each in NAMES if reads_both_ways(each))]:
            folder = str(make(Path(scratch) / name, name))
            model = models.ColBERT(
                folder, device="cpu", model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"}
            )
            if reads_both_ways(name):
                read_both_ways()
            store(name, model)
    write_versions("versions-lfm2-colbert.json", PACKAGES)


if __name__ == "__main__":
    main()
