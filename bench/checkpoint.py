"""Checkpoints of the real layout with random weights: speed needs no sense.

`python -m bench.checkpoint FOLDER` writes one of the shape of Qwen3-Embedding-0.6B (1.2 GB).
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.corpus import WORDS


class Shape(NamedTuple):
    """Sizes of a Qwen3 model; its weights are of the MLX type `dtype`."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    inner: int
    vocabulary: int
    dtype: str

    @property
    def config(self) -> dict[str, Any]:
        return {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_size,
            "intermediate_size": self.inner,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": 32768,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1_000_000,
            "tie_word_embeddings": True,
            "attention_bias": False,
            "torch_dtype": self.dtype,
        }


QWEN3_600M = Shape(1024, 28, 16, 8, 128, 3072, 151_669, "bfloat16")
SMALL = Shape(256, 4, 4, 2, 64, 768, 32_000, "float32")
"""Four layers, 256 wide: a token costs a CPU little, so that a server's own share shows."""

MINILM_CLASSIFIER: dict[str, Any] = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "vocab_size": 30_522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "id2label": {"0": "LABEL_0"},
    "label2id": {"LABEL_0": 0},
}

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_embedder(folder: Path, shape: Shape = QWEN3_600M) -> Path:
    """Write an embedding model, unless it is there. Imports MLX."""
    if (folder / "model.safetensors").exists():
        return folder
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    pooling = {"word_embedding_dimension": shape.hidden, "pooling_mode_lasttoken": True}
    _write_json(folder / "modules.json", MODULES)
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    _write_json(folder / "config.json", shape.config)
    _write_tokenizer(folder)
    _write_weights(folder / "model.safetensors", shape, prefix="")
    return folder


def write_generator(folder: Path, shape: Shape = SMALL) -> Path:
    """Write a text generator that never ends by itself, unless it is there. Imports MLX."""
    if (folder / "model.safetensors").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", shape.config)
    _write_tokenizer(folder, ends_texts=False, vocabulary=shape.vocabulary)
    _write_weights(folder / "model.safetensors", shape, prefix="model.")
    return folder


def write_reranker(folder: Path, shape: Shape = QWEN3_600M) -> Path:
    """Write a reranker that is asked in words, unless it is there. Imports MLX."""
    if (folder / "model.safetensors").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", shape.config)
    _write_tokenizer(folder, ends_texts=False, words=("yes", "no"))
    _write_weights(folder / "model.safetensors", shape, prefix="model.")
    return folder


def write_cross_encoder(folder: Path) -> Path:
    """Write a reranker of the shape of ms-marco-MiniLM-L6, unless it is there. Imports MLX.

    Its tokenizer is that of the bundled all-MiniLM-L6-v2: both are BERT's.
    """
    from workers.models.resolve import BUNDLED_NAMES, resolve

    if (folder / "model.safetensors").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    bundled = resolve(BUNDLED_NAMES[0]).folder
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(bundled / name, folder / name)
    _write_json(folder / "config.json", MINILM_CLASSIFIER)
    _write_bert_weights(folder / "model.safetensors", MINILM_CLASSIFIER)
    return folder


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _write_tokenizer(
    folder: Path, *, ends_texts: bool = True, vocabulary: int = 0, words: Sequence[str] = ()
) -> None:
    """vocabulary: filled up with words that no text holds, so that every id a model may choose is some text.
    words: those that must be one token each.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    if vocabulary:
        tokenizer = _filled_up(tokenizer, vocabulary - 3)
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    tokenizer.add_tokens(list(words))
    if ends_texts:
        end = tokenizer.token_to_id("<|endoftext|>")
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", end)]
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<|endoftext|>",
        "model_max_length": 32768,
        "chat_template": CHAT_TEMPLATE,
    }
    _write_json(folder / "tokenizer_config.json", config)


def _filled_up(tokenizer: Any, size: int) -> Any:
    from tokenizers import Tokenizer

    content = json.loads(tokenizer.to_str())
    vocabulary = content["model"]["vocab"]
    vocabulary |= {f"Ġw{n}": n for n in range(len(vocabulary), size)}
    return Tokenizer.from_str(json.dumps(content))


def _write_weights(path: Path, shape: Shape, *, prefix: str) -> None:
    """prefix: what a checkpoint of this kind puts before each name."""
    import mlx.core as mx

    mx.random.seed(0)
    dtype = getattr(mx, shape.dtype)

    def normal(*size: int) -> mx.array:
        return (mx.random.normal(size) * 0.02).astype(dtype)

    hidden, queries, keys = shape.hidden, shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    weights = {"embed_tokens.weight": normal(shape.vocabulary, hidden), "norm.weight": mx.ones(hidden, dtype)}
    for layer in range(shape.layers):
        name = f"layers.{layer}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{name}.{norm}.weight"] = mx.ones(hidden, dtype)
        for norm in ("q_norm", "k_norm"):
            weights[f"{name}.self_attn.{norm}.weight"] = mx.ones(shape.head_size, dtype)
        for projection, size in (("q", queries), ("k", keys), ("v", keys)):
            weights[f"{name}.self_attn.{projection}_proj.weight"] = normal(size, hidden)
        weights[f"{name}.self_attn.o_proj.weight"] = normal(hidden, queries)
        for projection in ("gate", "up"):
            weights[f"{name}.mlp.{projection}_proj.weight"] = normal(shape.inner, hidden)
        weights[f"{name}.mlp.down_proj.weight"] = normal(hidden, shape.inner)
    named = {prefix + name: weight for name, weight in weights.items()}
    mx.save_safetensors(str(path), named, metadata={"format": "pt"})


def _write_bert_weights(path: Path, config: dict[str, Any]) -> None:
    import mlx.core as mx

    mx.random.seed(0)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    weights: dict[str, mx.array] = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        weights[f"{name}.weight"] = mx.random.normal((outputs, inputs)) * 0.02
        weights[f"{name}.bias"] = mx.zeros(outputs)

    def norm(name: str) -> None:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = mx.ones(hidden), mx.zeros(hidden)

    tables = {
        "word": config["vocab_size"],
        "position": config["max_position_embeddings"],
        "token_type": config["type_vocab_size"],
    }
    for name, rows in tables.items():
        weights[f"bert.embeddings.{name}_embeddings.weight"] = mx.random.normal((rows, hidden)) * 0.02
    norm("bert.embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{i}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{layer}.attention.{part}", hidden, hidden)
        linear(f"{layer}.intermediate.dense", hidden, inner)
        linear(f"{layer}.output.dense", inner, hidden)
        norm(f"{layer}.attention.output.LayerNorm")
        norm(f"{layer}.output.LayerNorm")
    linear("bert.pooler.dense", hidden, hidden)
    linear("classifier", hidden, 1)
    mx.save_safetensors(str(path), weights, metadata={"format": "pt"})


if __name__ == "__main__":
    write_embedder(Path(sys.argv[1]))
