"""Small random rerankers of every supported type, laid out as their makers publish them. Same bytes each time.

python -m tests.checkpoints.rerankers FOLDER writes all of them.
"""

import sys
from pathlib import Path

import numpy as np

from tests.checkpoints import vocabularies
from tests.checkpoints.make import (
    HIDDEN,
    INNER,
    SEED,
    Draw,
    bert_config,
    bert_weights,
    common,
    decoder_weights,
    qwen3_config,
    write_json,
    write_model,
)

CROSS_ENCODERS = ("bert", "xlm-roberta", "modernbert", "modernbert-cls")
NAMES = (*CROSS_ENCODERS, "qwen3-reranker")

ONE_LABEL = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}


def make(name: str, folder: Path) -> Path:
    """Write the reranker `name` (one of NAMES) into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    {
        "bert": _bert,
        "xlm-roberta": _xlm_roberta,
        "modernbert": _modernbert,
        "modernbert-cls": _modernbert_cls,
        "qwen3-reranker": _qwen3,
    }[name](folder, Draw(np.random.default_rng([SEED, 7, NAMES.index(name)])))
    return folder


def _bert(folder: Path, draw: Draw) -> None:
    """As cross-encoder/ms-marco-MiniLM-L6-v2: two types of tokens, scores that are the logits."""
    tokenizer = vocabularies.word_piece()
    vocab = tokenizer.get_vocab_size()
    bert_weights(draw, vocab, positions=128, types=2)
    draw.weights = {f"bert.{name}": weight for name, weight in draw.weights.items()}
    draw.linear("classifier", HIDDEN, 1)
    config = {
        **bert_config("bert", "BertForSequenceClassification", vocab, positions=128, types=2, pad=0),
        **ONE_LABEL,
        "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.1.0"},
    }
    tokens = {
        "pad_token": "[PAD]",
        "model_max_length": 512,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }
    write_model(folder, config, draw.weights, tokenizer, tokens)


def _xlm_roberta(folder: Path, draw: Draw) -> None:
    """As BAAI/bge-reranker-v2-m3: a head under names of its own, and no word about what becomes of the logit."""
    tokenizer = vocabularies.unigram()
    vocab = tokenizer.get_vocab_size()
    bert_weights(draw, vocab, positions=130, types=1)
    names = [name for name in draw.weights if not name.startswith("pooler.")]
    draw.weights = {f"roberta.{name}": draw.weights[name] for name in names}
    draw.linear("classifier.dense", HIDDEN, HIDDEN)
    draw.linear("classifier.out_proj", HIDDEN, 1)
    architecture = "XLMRobertaForSequenceClassification"
    config = bert_config("xlm-roberta", architecture, vocab, positions=130, types=1, pad=1)
    tokens = {"pad_token": "<pad>", "model_max_length": 8192}
    write_model(folder, {**config, **ONE_LABEL}, draw.weights, tokenizer, tokens)


def _modernbert(folder: Path, draw: Draw, pooling: str = "mean") -> None:
    """As Alibaba-NLP/gte-reranker-modernbert-base: the mean of all tokens."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = vocabularies.byte_bpe(specials, ["[CLS]"], ["[SEP]"], "[CLS] $A [SEP] $B [SEP]")
    vocab = tokenizer.get_vocab_size()
    draw.table("model.embeddings.tok_embeddings", vocab)
    draw.norm("model.embeddings.norm", HIDDEN, bias=False)
    for i in range(4):
        layer = f"model.layers.{i}"
        if i:
            draw.norm(f"{layer}.attn_norm", HIDDEN, bias=False)
        draw.linear(f"{layer}.attn.Wqkv", HIDDEN, 3 * HIDDEN, bias=False)
        draw.linear(f"{layer}.attn.Wo", HIDDEN, HIDDEN, bias=False)
        draw.norm(f"{layer}.mlp_norm", HIDDEN, bias=False)
        draw.linear(f"{layer}.mlp.Wi", HIDDEN, 2 * INNER, bias=False)
        draw.linear(f"{layer}.mlp.Wo", INNER, HIDDEN, bias=False)
    draw.norm("model.final_norm", HIDDEN, bias=False)
    draw.linear("head.dense", HIDDEN, HIDDEN, bias=False)
    draw.norm("head.norm", HIDDEN, bias=False)
    draw.linear("classifier", HIDDEN, 1)
    config = {
        **common("modernbert", "ModernBertForSequenceClassification", vocab, layers=4, positions=512),
        **ONE_LABEL,
        "hidden_activation": "gelu",
        "classifier_activation": "gelu",
        "classifier_bias": False,
        "classifier_pooling": pooling,
        "global_attn_every_n_layers": 3,
        "local_attention": 16,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "norm_eps": 1e-05,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    tokens = {
        "pad_token": "[PAD]",
        "model_max_length": 200,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    write_model(folder, config, draw.weights, tokenizer, tokens)


def _modernbert_cls(folder: Path, draw: Draw) -> None:
    """The first token, and the activation in the file that newer versions of sentence-transformers write."""
    _modernbert(folder, draw, "cls")
    write_json(
        folder / "config_sentence_transformers.json",
        {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.activation.Sigmoid", "prompts": {}},
    )


def _qwen3(folder: Path, draw: Draw) -> None:
    """As Qwen/Qwen3-Reranker-0.6B: a generator, whose head is its table of embeddings."""
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    tokenizer = vocabularies.byte_bpe(specials, [], [], bare=("yes", "no"))
    vocab = tokenizer.get_vocab_size() + 5  # the real table has more rows than the tokenizer has tokens, too
    decoder_weights(draw, vocab, layers=3, head_dim=16, around=1.0, norms=("input", "post_attention"))
    weights = {f"model.{name}": weight for name, weight in draw.weights.items()}
    config = qwen3_config(vocab, positions=448, end=2)
    write_model(
        folder, config, weights, tokenizer, {"pad_token": "<|endoftext|>", "model_max_length": 131072}
    )


if __name__ == "__main__":
    for model in NAMES:
        print(make(model, Path(sys.argv[1]) / model))
