"""Vision models in continuous batches, against mlx-vlm's own generation of one answer at a time."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_vlm.generate import generate_step
from mlx_vlm.utils import load, prepare_inputs
from PIL import Image

from jobs.content import ImagePart, TextPart
from jobs.errors import InputTooLong, InvalidInput, JobError
from jobs.generate import Chat, GenerateJob, Message, Prompt, Sampling
from jobs.settings import Settings
from tests.checkpoints.vision import NAMES, make
from workers.models.open import load_runner
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import NewToken, decoder_of
from workers.runners.generate.vision.runner import VisionRunner

LENGTH = 12
GAP = 0.02
"""Between the two most probable tokens' logarithms: far more than a batch's other order of sums can change."""


def encoded(seed: int, width: int, height: int) -> bytes:
    blocks = np.random.default_rng(seed).integers(0, 255, (height // 10, width // 10, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


WIDE, TALL, SMALL = encoded(1, 140, 60), encoded(2, 70, 130), encoded(3, 60, 60)
REQUESTS: dict[str, tuple[Message, ...]] = {
    "one image": (Message("user", (ImagePart(WIDE), TextPart("the red fox"))),),
    "another image": (Message("user", (ImagePart(TALL), TextPart("the red fox"))),),
    "text": (Message("user", (TextPart("old horse under the mountain and the river"),)),),
    "between texts": (
        Message(
            "user", (TextPart("look"), ImagePart(SMALL), TextPart("and"), ImagePart(TALL), TextPart("now"))
        ),
    ),
    "turns": (
        Message("system", (TextPart("small words"),)),
        Message("user", (TextPart("what is it"), ImagePart(TALL), TextPart("here"))),
        Message("assistant", (TextPart("a cat"),)),
        Message("user", (ImagePart(SMALL), TextPart("and this"))),
    ),
    "short": (Message("user", (TextPart("cat"),)),),
}


@dataclass
class Case:
    name: str
    folder: Path
    runner: VisionRunner


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = make(request.param, tmp_path_factory.mktemp("vision") / request.param)
    runner = load_runner(str(folder), Settings())
    assert isinstance(runner, VisionRunner)
    return Case(request.param, folder, runner)


@pytest.fixture(scope="module")
def references(case: Case) -> Mapping[str, list[int]]:
    """Each request's greedy tokens, from mlx-vlm alone."""
    return {name: reference(case, messages) for name, messages in REQUESTS.items()}


def reference(case: Case, messages: Sequence[Message]) -> list[int]:
    loaded: Any = load(str(case.folder))
    model, processor = loaded
    tokens, gaps = generate_alone(model, processor, *written_out(case.name, messages))
    assert min(gaps) > GAP, f"a draw of weights with near-ties says nothing: {gaps}"
    return tokens


def generate_alone(model: Any, processor: Any, text: str, images: list[Any]) -> tuple[list[int], list[float]]:
    """mlx-vlm's tokens, and how far the second most probable one is behind each."""
    inputs = prepare_inputs(processor, images=images or None, prompts=text)
    ids, mask = inputs.pop("input_ids"), inputs.pop("attention_mask")
    pixels = inputs.pop("pixel_values", None)
    steps = generate_step(ids, model, pixels, mask, max_tokens=LENGTH, temperature=0, **inputs)
    tokens, gaps = list[int](), list[float]()
    for token, logprobs in steps:
        second, first = np.sort(np.array(logprobs).reshape(-1))[-2:]
        tokens.append(int(token))  # pyright: ignore[reportArgumentType]  # annotated as an array
        gaps.append(float(first - second))
    return tokens, gaps


QWEN = ("<|vision_start|><|image_pad|><|vision_end|>", "<|im_end|>")
IN_TEXT = {
    "qwen2_5_vl": QWEN,
    "qwen3_vl": QWEN,
    "qwen3_5": QWEN,
    "smolvlm": ("<image>", "<end_of_utterance>"),
    "gemma3": ("<start_of_image>", "<end_of_turn>"),
}
"""What stands for an image, and for the end of a message."""


def written_out(name: str, messages: Sequence[Message]) -> tuple[str, list[Any]]:
    mark, end = IN_TEXT[name]
    text, images = "", []
    for message in messages:
        text += f"<|im_start|>{message.role}\n"
        for part in message.content:
            text += part.text if isinstance(part, TextPart) else mark
            if isinstance(part, ImagePart):
                images.append(Image.open(BytesIO(part.data)))
        text += f"{end}\n"
    return f"{text}<|im_start|>assistant\n", images


def ask(name: str, max_tokens: int = LENGTH, **sampling: Any) -> GenerateJob:
    chosen = Sampling(**{"temperature": 0, **sampling})
    return GenerateJob("m", Chat(REQUESTS[name]), sampling=chosen, max_tokens=max_tokens)


def prepared(runner: VisionRunner, job: GenerateJob) -> Answer:
    (found,) = runner.prepare([job])
    assert isinstance(found, list), found
    return found[0]


def refusal(runner: VisionRunner, job: GenerateJob) -> JobError:
    (found,) = runner.prepare([job])
    assert isinstance(found, JobError)
    return found


def decode(
    runner: VisionRunner, waves: Sequence[Sequence[GenerateJob]], seconds: float = 1.0
) -> list[list[int]]:
    """Each job's tokens. A wave joins two steps after the one before; every step has that time."""
    found: dict[int, list[int]] = {}
    left, step = list(waves), 0
    while left or len(decoder_of(runner)):
        if left and step % 2 == 0:
            found |= {decoder_of(runner).insert(prepared(runner, job)): [] for job in left.pop(0)}
        for token in decoder_of(runner).step(seconds):
            found[token.uid].append(token.token)
        step += 1
    return list(found.values())


WAVES = [
    [["one image", "another image", "text", "between texts", "turns", "short"]],
    [["text"], ["between texts", "short"], ["one image"], ["another image", "turns"]],
    [["turns", "one image"], ["short", "text"], ["another image"], ["between texts"]],
]


@pytest.mark.parametrize("name", REQUESTS)
def test_alone_a_request_gets_the_tokens_that_mlx_vlm_gives(
    case: Case, references: Mapping[str, list[int]], name: str
):
    assert decode(case.runner, [[ask(name)]]) == [references[name]]


@pytest.mark.parametrize("waves", WAVES)
@pytest.mark.parametrize("seconds", [1.0, 0.0])
def test_in_a_mixed_batch_a_request_gets_the_tokens_it_gets_alone(
    case: Case, references: Mapping[str, list[int]], waves: list[list[str]], seconds: float
):
    # Answers of several lengths, so that rows leave while others go on.
    names = [name for wave in waves for name in wave]
    lengths = {name: LENGTH - 2 * n for n, name in enumerate(REQUESTS)}
    jobs = [[ask(name, lengths[name]) for name in wave] for wave in waves]
    assert decode(case.runner, jobs, seconds) == [references[name][: lengths[name]] for name in names]


def test_each_row_of_a_batch_has_its_own_sampling(case: Case):
    jobs = [
        ask("one image"),
        ask("one image", temperature=1.5, seed=4),
        ask("one image", temperature=1.5, seed=5),
        ask("one image", logit_bias={7: 1000.0}),
        ask("text", temperature=0.9, seed=4, top_k=20, repetition_penalty=1.5),
    ]
    alone = [decode(case.runner, [[job]])[0] for job in jobs]
    assert decode(case.runner, [jobs]) == alone
    assert alone[3] == [7] * LENGTH
    assert len({tuple(tokens) for tokens in alone}) == len(jobs)


def test_several_answers_to_one_image_differ_by_their_seed_only(case: Case):
    job = GenerateJob(
        "m", Chat(REQUESTS["one image"]), n=3, sampling=Sampling(temperature=4, seed=1), max_tokens=4
    )
    (answers,) = case.runner.prepare([job])
    assert isinstance(answers, list)
    found = dict[int, list[int]]((decoder_of(case.runner).insert(answer), []) for answer in answers)
    while len(decoder_of(case.runner)):
        for token in decoder_of(case.runner).step(1.0):
            found[token.uid].append(token.token)
    assert len({tuple(tokens) for tokens in found.values()}) == 3


def test_same_words_with_another_image_are_answered_anew(case: Case, references: Mapping[str, list[int]]):
    for _ in range(2):  # the second time, a cache that went by token ids would know them
        for data, name in ((WIDE, "one image"), (TALL, "another image")):
            message = Message("user", (ImagePart(data), TextPart("the red fox")))
            job = GenerateJob("m", Chat((message,)), sampling=Sampling(temperature=0), max_tokens=LENGTH)
            assert decode(case.runner, [[job]]) == [references[name]]


def test_token_ids_alone_do_not_call_up_an_image_seen_before(case: Case):
    ids = tuple(prepared(case.runner, ask("turns")).ids)
    job = GenerateJob("m", Prompt(ids), sampling=Sampling(temperature=0), max_tokens=LENGTH)
    fresh = load_runner(str(case.folder), Settings())
    assert isinstance(fresh, VisionRunner)
    decode(case.runner, [[ask("turns")]])
    assert decode(case.runner, [[job]]) == decode(fresh, [[job]])


def test_interrupted_answer_goes_on_with_the_tokens_it_would_have_had(
    case: Case, references: Mapping[str, list[int]]
):
    answer = prepared(case.runner, ask("between texts"))
    decoder_of(case.runner).insert(answer)
    while len(answer.generated) < 5:
        answer.generated += [token.token for token in decoder_of(case.runner).step(1.0)]
    decoder_of(case.runner).restart()
    answer.rewind()
    decoder_of(case.runner).insert(answer)
    rest = list[NewToken]()
    while len(decoder_of(case.runner)):
        rest += decoder_of(case.runner).step(1.0)
    assert answer.ids[answer.prompt_tokens :] + [token.token for token in rest] == references["between texts"]


def test_removed_answers_leave_the_others_alone(case: Case, references: Mapping[str, list[int]]):
    decoder = decoder_of(case.runner)
    kept = decoder.insert(prepared(case.runner, ask("one image")))
    running = decoder.insert(prepared(case.runner, ask("short")))
    decoder.step(1.0)
    half_read = decoder.insert(prepared(case.runner, ask("turns")))
    waiting = decoder.insert(prepared(case.runner, ask("another image")))
    tokens = list[int]()
    for step in range(3 * LENGTH):
        tokens += [token.token for token in decoder.step(0.0) if token.uid == kept]
        if step == 1:
            decoder.remove([running, half_read, waiting, 12345])
            assert len(decoder) == 1
    assert tokens == references["one image"]
    assert len(decoder) == 0


def test_prompt_tokens_count_what_the_images_take(case: Case):
    messages = (Message("user", (TextPart("the red fox"),)),)
    without = prepared(case.runner, GenerateJob("m", Chat(messages))).prompt_tokens
    with_image = prepared(case.runner, ask("one image"))
    # qwen: 140 x 60 pixels are 5 x 2 tokens between two marks; smolvlm: 2 tiles of 6 tokens and a whole of 8.
    # gemma3: 4 tokens, two marks and two tokens of line ends before and behind.
    taken = {"smolvlm": 21, "gemma3": 10}.get(case.name, 12)
    assert with_image.prompt_tokens - without == taken


def test_images_over_the_models_context_are_refused(case: Case):
    many = tuple(ImagePart(encoded(n, 140, 140)) for n in range(60))
    error = refusal(case.runner, GenerateJob("m", Chat((Message("user", (*many, TextPart("cat"))),))))
    assert isinstance(error, InputTooLong)
    assert error.param == "messages"


def test_prompt_takes_images_at_its_placeholders_or_else_before_it(
    case: Case, references: Mapping[str, list[int]]
):
    text, _ = written_out(case.name, REQUESTS["one image"])
    job = GenerateJob("m", Prompt(text, (WIDE,)), sampling=Sampling(temperature=0), max_tokens=LENGTH)
    assert decode(case.runner, [[job]]) == [references["one image"]]
    before = prepared(case.runner, GenerateJob("m", Prompt("the red fox", (WIDE,))))
    assert before.image_inputs is not None
    assert decoder_of(case.runner).insert(before)
    decoder_of(case.runner).restart()


QWEN_MARK = "<|image_pad|>"
MARK = {
    "qwen2_5_vl": QWEN_MARK,
    "qwen3_vl": QWEN_MARK,
    "qwen3_5": QWEN_MARK,
    "smolvlm": "<image>",
    "gemma3": "<start_of_image>",
}


def test_what_cannot_be_read_is_refused(case: Case):
    def chat(*parts: TextPart | ImagePart) -> GenerateJob:
        return GenerateJob("m", Chat((Message("user", parts),)))

    broken = encoded(1, 60, 60)[:200]
    for job, param in [
        (chat(ImagePart(b"no image"), TextPart("cat")), "messages"),
        (chat(ImagePart(broken), TextPart("cat")), "messages"),
        (chat(ImagePart(SMALL), TextPart(f"cat {MARK[case.name]}")), "messages"),
        (chat(TextPart(f"cat {MARK[case.name]}")), "messages"),
        (GenerateJob("m", Prompt((5, 6), (SMALL,))), "prompt"),
        (GenerateJob("m", Prompt(f"{MARK[case.name]} cat", (SMALL, TALL))), "images"),
        (GenerateJob("m", Prompt("cat", (b"no image",))), "images"),
    ]:
        error = refusal(case.runner, job)
        assert isinstance(error, InvalidInput)
        assert error.param == param


def test_prompts_may_be_prepared_in_another_thread(case: Case, references: Mapping[str, list[int]]):
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(prepared, case.runner, ask("between texts")).result()
    decoder_of(case.runner).insert(answer)
    while len(decoder_of(case.runner)):
        answer.generated += [token.token for token in decoder_of(case.runner).step(1.0)]
    assert answer.generated == references["between texts"]
    assert not any(isinstance(value, mx.array) for value in (answer.image_inputs or {}).values())


def test_model_says_that_it_sees(case: Case):
    assert case.runner.info.abilities == ("vision",)
    assert case.runner.info.max_tokens == 512


def test_a_prompt_without_images_is_scored(case: Case):
    job = GenerateJob("m", Prompt("one two three"), max_tokens=1, prompt_logprobs=1)
    answer = prepared(case.runner, job)
    decoder = decoder_of(case.runner)
    decoder.insert(answer)
    while len(decoder):
        decoder.step(0.1)
    assert answer.prompt_scores is not None
    told = answer.prompt_scores.describe(case.runner.logprobs_reader, "")
    assert [token.logprob is None for token in told] == [True] + [False] * (answer.prompt_tokens - 1)
