"""One answer with a draft model and without, in process. The draft is the first layer of a 12-layer model, 512 wide.

How often a draft is right is a matter of the two models. Here it is set: the layers that the draft lacks add to what
the first one says, scaled by a factor. At 0 the draft is always right.
"""

import json
import time
from typing import Any

from bench.report import Row, median
from bench.stack import output_of

FACTORS = (0.0, 0.02, 0.05, 1.0)
PROMPT_TOKENS, ANSWER_TOKENS = 64, 120


async def measure(repeats: int) -> list[Row]:
    output = await output_of("-m", "bench.generate.draft", str(repeats))
    return [Row(name, figures) for name, figures in json.loads(output)]


def main(repeats: int) -> None:
    found: list[tuple[str, dict[str, float]]] = []
    for factor in FACTORS:
        plain, drafted = decoders(factor)
        for decoder in (plain, drafted):
            write(decoder)  # the first calls are slow
        drafted.restart()
        runs = [(write(plain), write(drafted)) for _ in range(repeats)]
        assert all(alone[2] == together[2] for alone, together in runs), "the draft changed the answer"
        alone = median([alone[0] for alone, _ in runs])
        figures = {
            "tokens/s alone": alone,
            "of that with it": median([together[0] for _, together in runs]) / alone,
        }
        found.append((f"{runs[-1][1][1]:.1f} tokens in a step", figures))
    print(json.dumps(found))


def decoders(factor: float) -> tuple[Any, Any]:
    """A decoder without a draft, and one of the same model with it."""
    import mlx.core as mx
    from mlx.utils import tree_map

    from jobs.generate import Sampling
    from workers.runners.generate.decoding.decoder import TextDecoder
    from workers.runners.generate.decoding.sampling import sampler_for

    mx.random.seed(1)
    model, draft = model_of(12), model_of(1)
    # Untrained weights are too small for any token to stand out.
    model.update(tree_map(lambda weight: 4 * weight if weight.ndim == 2 else weight, model.parameters()))
    draft.model.embed_tokens, draft.lm_head, draft.model.norm = (
        model.model.embed_tokens,
        model.lm_head,
        model.model.norm,
    )
    draft.model.layers = model.model.layers[:1]
    for layer in model.model.layers[1:]:
        layer.self_attn.o_proj.weight *= factor
        layer.mlp.down_proj.weight *= factor
    mx.eval(model.parameters())

    def new(draft: Any) -> Any:
        greedy = sampler_for(Sampling(temperature=0))
        return TextDecoder(model, [], lambda _: (greedy, []), slots=4, prefix_cache_bytes=0, draft=draft)

    return new(None), new(draft)


def model_of(layers: int) -> Any:
    from mlx_lm.models.qwen3 import Model, ModelArgs

    return Model(
        ModelArgs(
            model_type="qwen3",
            hidden_size=512,
            num_hidden_layers=layers,
            intermediate_size=1536,
            num_attention_heads=8,
            num_key_value_heads=4,
            head_dim=64,
            rms_norm_eps=1e-6,
            vocab_size=8000,
            max_position_embeddings=32768,
            rope_theta=1e6,
            tie_word_embeddings=False,
        )
    )


def write(decoder: Any) -> tuple[float, float, list[int]]:
    """(tokens per second, tokens in a step, the tokens) of one answer, from its first token on."""
    from jobs.generate import GenerateJob, Prompt
    from workers.runners.generate.answer import Answer

    ids = [(place * 7919 + 13) % 1000 for place in range(PROMPT_TOKENS)]
    script: Any = None  # nothing is turned into text
    decoder.insert(Answer(GenerateJob(model="m", prompt=Prompt(tuple(ids))), ids, ANSWER_TOKENS, script))
    tokens: list[int] = []
    steps, first, began = 0, 0, 0.0
    while len(decoder):
        new = [each.token for each in decoder.step(0.05)]
        if new and not tokens:
            first, began = len(new), time.perf_counter()
        steps += bool(new)
        tokens += new
    return (len(tokens) - first) / (time.perf_counter() - began), len(tokens) / steps, tokens


if __name__ == "__main__":
    import sys

    main(int(sys.argv[1]))
