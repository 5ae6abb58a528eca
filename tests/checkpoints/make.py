"""Small random models of every supported type, laid out as their makers publish them. NumPy only; same bytes each time.

python -m tests.checkpoints.make FOLDER writes all of them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.checkpoints import vocabularies

Weights = dict[str, NDArray[np.float32]]

HIDDEN, INNER, HEADS, SEED = 32, 48, 4, 20_240_601
NAMES = ("bert", "bert-max-dense", "xlm-roberta", "modernbert", "qwen3", "gemma3")
QWEN_QUERY = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"


class Draw:
    """Draws weights large enough that every part of a model shows in its vectors."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.weights: Weights = {}

    def linear(self, name: str, inputs: int, outputs: int, bias: bool = True) -> None:
        self._normal(f"{name}.weight", (outputs, inputs), 1.4 / inputs**0.5)
        if bias:
            self._normal(f"{name}.bias", (outputs,), 0.2)

    def norm(self, name: str, size: int, bias: bool = True, around: float = 1.0) -> None:
        self._normal(f"{name}.weight", (size,), 0.2)
        self.weights[f"{name}.weight"] += np.float32(around)
        if bias:
            self._normal(f"{name}.bias", (size,), 0.2)

    def table(self, name: str, rows: int) -> None:
        self._normal(f"{name}.weight", (rows, HIDDEN), 1.0)

    def _normal(self, name: str, shape: tuple[int, ...], scale: float) -> None:
        self.weights[name] = self.random.normal(0, scale, shape).astype(np.float32)


def make(name: str, folder: Path) -> Path:
    """Write the model `name` (one of NAMES) into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    {
        "bert": _bert,
        "bert-max-dense": _bert_max_dense,
        "xlm-roberta": _xlm_roberta,
        "modernbert": _modernbert,
        "qwen3": _qwen3,
        "gemma3": _gemma3,
    }[name](folder, Draw(np.random.default_rng([SEED, NAMES.index(name)])))
    return folder


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _bert(folder: Path, draw: Draw) -> None:
    tokenizer = vocabularies.word_piece()
    vocab = tokenizer.get_vocab_size()
    bert_weights(draw, vocab, positions=128, types=2)
    config = bert_config("bert", "BertModel", vocab, positions=128, types=2, pad=0)
    write_model(folder, config, draw.weights, tokenizer, {"pad_token": "[PAD]", "model_max_length": 512})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 96, "do_lower_case": False})
    _write_modules(folder, "pooling_mode_mean_tokens")


def _bert_max_dense(folder: Path, draw: Draw) -> None:
    """Max pooling and a Dense module with tanh, as distiluse and LaBSE have."""
    _bert(folder, draw)
    _write_modules(folder, "pooling_mode_max_tokens", dense=1)
    _write_dense(folder / "2_Dense", draw, HIDDEN, 24, bias=True, activation="activation.Tanh")


def _xlm_roberta(folder: Path, draw: Draw) -> None:
    """As BAAI/bge-m3: first token's state, positions counted from 2."""
    tokenizer = vocabularies.unigram()
    vocab = tokenizer.get_vocab_size()
    bert_weights(draw, vocab, positions=130, types=1)
    config = bert_config("xlm-roberta", "XLMRobertaModel", vocab, positions=130, types=1, pad=1)
    write_model(folder, config, draw.weights, tokenizer, {"pad_token": "<pad>", "model_max_length": 8192})
    _write_modules(folder, "pooling_mode_cls_token")


def _modernbert(folder: Path, draw: Draw) -> None:
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = vocabularies.byte_bpe(specials, ["[CLS]"], ["[SEP]"])
    vocab = tokenizer.get_vocab_size()
    draw.table("embeddings.tok_embeddings", vocab)
    draw.norm("embeddings.norm", HIDDEN, bias=False)
    for i in range(4):
        if i:
            draw.norm(f"layers.{i}.attn_norm", HIDDEN, bias=False)
        draw.linear(f"layers.{i}.attn.Wqkv", HIDDEN, 3 * HIDDEN, bias=False)
        draw.linear(f"layers.{i}.attn.Wo", HIDDEN, HIDDEN, bias=False)
        draw.norm(f"layers.{i}.mlp_norm", HIDDEN, bias=False)
        draw.linear(f"layers.{i}.mlp.Wi", HIDDEN, 2 * INNER, bias=False)
        draw.linear(f"layers.{i}.mlp.Wo", INNER, HIDDEN, bias=False)
    draw.norm("final_norm", HIDDEN, bias=False)
    config = {
        **common("modernbert", "ModernBertModel", vocab, layers=4, positions=512),
        "hidden_activation": "gelu",
        "global_attn_every_n_layers": 3,
        "local_attention": 16,
        "pad_token_id": 0,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "norm_eps": 1e-05,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    write_model(folder, config, draw.weights, tokenizer, {"pad_token": "[PAD]", "model_max_length": 512})
    prompts = {"query": "search query: ", "document": "search document: "}
    write_json(
        folder / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": "document"}
    )
    _write_modules(folder, "pooling_mode_mean_tokens")


def qwen3_config(vocab: int, *, positions: int, end: int) -> dict[str, Any]:
    """end: the token that ends a text."""
    return {
        **common("qwen3", "Qwen3ForCausalLM", vocab, layers=3, positions=positions),
        "hidden_act": "silu",
        "head_dim": 16,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000,
        "rope_scaling": None,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "use_sliding_window": False,
        "sliding_window": None,
        "bos_token_id": 0,
        "eos_token_id": end,
    }


def _qwen3(folder: Path, draw: Draw) -> None:
    tokenizer = vocabularies.byte_bpe(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], [], ["<|endoftext|>"])
    vocab = tokenizer.get_vocab_size() + 5  # the real table has more rows than the tokenizer has tokens, too
    decoder_weights(draw, vocab, layers=3, head_dim=16, around=1.0, norms=("input", "post_attention"))
    config = qwen3_config(vocab, positions=256, end=0)
    write_model(
        folder, config, draw.weights, tokenizer, {"pad_token": "<|endoftext|>", "model_max_length": 131072}
    )
    write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": {"query": QWEN_QUERY, "document": ""}, "default_prompt_name": None},
    )
    _write_modules(folder, "pooling_mode_lasttoken")


def _gemma3(folder: Path, draw: Draw) -> None:
    """As EmbeddingGemma: bidirectional, windows in all but each sixth layer, mean pooling, two Dense modules."""
    tokenizer = vocabularies.gemma_bpe()
    vocab = tokenizer.get_vocab_size()
    norms = ("input", "post_attention", "pre_feedforward", "post_feedforward")
    decoder_weights(draw, vocab, layers=7, head_dim=16, around=0.0, norms=norms)
    config = {
        **common("gemma3_text", "Gemma3TextModel", vocab, layers=7, positions=256),
        "hidden_activation": "gelu_pytorch_tanh",
        "head_dim": 16,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
        "rope_scaling": None,
        "sliding_window": 16,
        "_sliding_window_pattern": 6,
        "use_bidirectional_attention": True,
        "query_pre_attn_scalar": 16,
        "layer_types": ["sliding_attention"] * 5 + ["full_attention", "sliding_attention"],
        "pad_token_id": 0,
        "attention_bias": False,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "bos_token_id": 2,
        "eos_token_id": 1,
    }
    write_model(folder, config, draw.weights, tokenizer, {"pad_token": "<pad>", "model_max_length": 256})
    prompts = {"query": "task: search result | query: ", "document": "title: none | text: "}
    write_json(
        folder / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": None}
    )
    _write_modules(folder, "pooling_mode_mean_tokens", dense=2)
    _write_dense(folder / "2_Dense", draw, HIDDEN, 4 * HIDDEN, bias=False, activation="linear.Identity")
    _write_dense(folder / "3_Dense", draw, 4 * HIDDEN, HIDDEN, bias=False, activation="linear.Identity")


def common(model_type: str, architecture: str, vocab: int, layers: int, positions: int) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "architectures": [architecture],
        "vocab_size": vocab,
        "torch_dtype": "float32",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "max_position_embeddings": positions,
    }


def bert_config(
    model_type: str, architecture: str, vocab: int, positions: int, types: int, pad: int
) -> dict[str, Any]:
    return {
        **common(model_type, architecture, vocab, layers=2, positions=positions),
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12 if pad == 0 else 1e-05,
        "type_vocab_size": types,
        "pad_token_id": pad,
        "position_embedding_type": "absolute",
    }


def bert_weights(draw: Draw, vocab: int, positions: int, types: int) -> None:
    draw.table("embeddings.word_embeddings", vocab)
    draw.table("embeddings.position_embeddings", positions)
    draw.table("embeddings.token_type_embeddings", types)
    draw.norm("embeddings.LayerNorm", HIDDEN)
    for i in range(2):
        layer = f"encoder.layer.{i}"
        for part in ("query", "key", "value"):
            draw.linear(f"{layer}.attention.self.{part}", HIDDEN, HIDDEN)
        draw.linear(f"{layer}.attention.output.dense", HIDDEN, HIDDEN)
        draw.norm(f"{layer}.attention.output.LayerNorm", HIDDEN)
        draw.linear(f"{layer}.intermediate.dense", HIDDEN, INNER)
        draw.linear(f"{layer}.output.dense", INNER, HIDDEN)
        draw.norm(f"{layer}.output.LayerNorm", HIDDEN)
    draw.linear("pooler.dense", HIDDEN, HIDDEN)


def decoder_weights(
    draw: Draw, vocab: int, layers: int, head_dim: int, around: float, norms: tuple[str, ...]
) -> None:
    draw.table("embed_tokens", vocab)
    for i in range(layers):
        layer = f"layers.{i}"
        for norm in norms:
            draw.norm(f"{layer}.{norm}_layernorm", HIDDEN, bias=False, around=around)
        for part, heads in (("q", HEADS), ("k", 2), ("v", 2)):
            draw.linear(f"{layer}.self_attn.{part}_proj", HIDDEN, heads * head_dim, bias=False)
        draw.linear(f"{layer}.self_attn.o_proj", HEADS * head_dim, HIDDEN, bias=False)
        for part in ("q_norm", "k_norm"):
            draw.norm(f"{layer}.self_attn.{part}", head_dim, bias=False, around=around)
        draw.linear(f"{layer}.mlp.gate_proj", HIDDEN, INNER, bias=False)
        draw.linear(f"{layer}.mlp.up_proj", HIDDEN, INNER, bias=False)
        draw.linear(f"{layer}.mlp.down_proj", INNER, HIDDEN, bias=False)
    draw.norm("norm", HIDDEN, bias=False, around=around)


def write_model(
    folder: Path, config: dict[str, Any], weights: Weights, tokenizer: Any, tokenizer_config: dict[str, Any]
) -> None:
    write_json(folder / "config.json", config)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **tokenizer_config}
    )


def _write_modules(folder: Path, pooling: str, dense: int = 0) -> None:
    kinds = ["Transformer", "Pooling", *["Dense"] * dense, "Normalize"]
    entries = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{kind}" if i else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    write_json(folder / "modules.json", entries)
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": HIDDEN, pooling: True})


def _write_dense(folder: Path, draw: Draw, inputs: int, outputs: int, bias: bool, activation: str) -> None:
    layer = Draw(draw.random)
    layer.linear("linear", inputs, outputs, bias)
    activation = f"torch.nn.modules.{activation}"
    config = {"in_features": inputs, "out_features": outputs, "bias": bias, "activation_function": activation}
    write_json(folder / "config.json", config)
    save_file(layer.weights, folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    for model in NAMES:
        print(make(model, Path(sys.argv[1]) / model))
