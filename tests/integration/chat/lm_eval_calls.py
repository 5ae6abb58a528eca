"""lm-evaluation-harness' own requests to a server of completions; it has to be on the path.

Arguments: the address of the endpoint, the folder of the model's tokenizer, and JSON: [context, continuation] pairs.
Prints one JSON object: by the way of asking, what the harness reads of the replies.
"""

import json
import sys

from lm_eval.api.instance import Instance  # pyright: ignore
from lm_eval.models.openai_completions import LocalCompletionsAPI  # pyright: ignore

WAYS = {
    "tokens": {},
    "texts": {"tokenized_requests": False},
    "batches": {"batch_size": 3},
    "at the same time": {"num_concurrent": 3},
}


def main(url: str, tokenizer: str, given: str) -> None:
    pairs = json.loads(given)
    scored = [Instance("loglikelihood", {}, tuple(pair), index) for index, pair in enumerate(pairs)]
    rolling = [Instance("loglikelihood_rolling", {}, ("".join(pair),), n) for n, pair in enumerate(pairs)]
    asked = Instance("generate_until", {}, (pairs[0][0], {"until": ["\n"], "max_gen_toks": 8}), 0)
    found = {}
    for way, options in WAYS.items():
        model = LocalCompletionsAPI(
            model="tiny-chat",
            base_url=url,
            tokenizer=tokenizer,
            tokenizer_backend="huggingface",
            max_retries=1,
            **options,
        )
        found[way] = model.loglikelihood(scored)
        if way == "tokens":
            found["rolling"] = model.loglikelihood_rolling(rolling)
            found["written"] = model.generate_until([asked])
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
