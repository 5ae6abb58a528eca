"""Special tokens are left out of an answer's text unless they are asked for, or mean something."""

import json
from collections.abc import Mapping, Sequence

import pytest
from tokenizers import Tokenizer, decoders, models

from jobs.generate import Choice, ScoredToken, TokenLogprobs
from tests.support.fake_generator import byte_tokenizer
from tests.support.transcripts import TOOLS, output_format_of, write_ids
from workers.runners.generate.output.segments import NORMAL, REASONING, TOOL, Transitions
from workers.runners.generate.output.transcript import Transcript

NAMES = ("<|im_start|>", "<|open|>", "<|sep|>", "<|call|>", "<|/call|>", "<|arg|>", "<|end▁of▁text|>")
CALL: Transitions = {NORMAL: [("<|call|>", TOOL)], TOOL: [("<|/call|>", NORMAL)]}
THOUGHT: Transitions = {
    NORMAL: [("<|open|>think<|sep|>", REASONING)],
    REASONING: [("<|open|>reply<|sep|>", NORMAL)],
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = byte_tokenizer()
    found.add_special_tokens(list(NAMES))
    return found


@pytest.fixture(scope="module")
def specials(tokenizer: Tokenizer) -> Mapping[int, str]:
    return {token: each.content for token, each in tokenizer.get_added_tokens_decoder().items()}


def ids_of(tokenizer: Tokenizer, parts: Sequence[str]) -> list[int]:
    """Special tokens as such; other texts as bytes, also where they spell a special token."""
    found: list[int] = []
    for part in parts:
        special = tokenizer.token_to_id(part) if part in NAMES else None
        found += [special] if special is not None else _bytes(part)
    return found


def _bytes(text: str) -> list[int]:
    return byte_tokenizer().encode(text).ids


def written(
    tokenizer: Tokenizer, specials: Mapping[int, str], *parts: str, transitions: Transitions | None = None,
    stop: Sequence[str] = (), initial: str = NORMAL,
) -> Choice:  # fmt: skip
    output_format = output_format_of(tokenizer, transitions, specials=specials, stop=stop, initial=initial)
    return write_ids(output_format, ids_of(tokenizer, parts))[0].choice_so_far()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("transitions", [None, TOOLS])
def test_a_special_token_is_no_text(
    tokenizer: Tokenizer, specials: Mapping[int, str], name: str, transitions: Transitions | None
):
    answer = written(tokenizer, specials, name, "one ", name, name, "two", name, transitions=transitions)
    assert (answer.text, answer.tokens, answer.finish_reason) == ("one two", 12, "stop")


def test_special_tokens_are_text_where_they_are_not_to_be_left_out(tokenizer: Tokenizer):
    answer = written(tokenizer, {}, "<|im_start|>", "one", "<|end▁of▁text|>")
    assert answer.text == "<|im_start|>one<|end▁of▁text|>"


@pytest.mark.parametrize("name", ["<|end|>", "<|end▁of▁text|>"])
def test_a_sentencepiece_text_keeps_its_spaces_around_one(name: str):
    """Its decoder makes spaces of the signs in the token's own name, too."""
    words = ["<unk>", "▁one", "▁two", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = Tokenizer(
        models.BPE({word: n for n, word in enumerate(words)}, [], unk_token="<unk>", byte_fallback=True)
    )
    kinds = (decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0))
    setattr(pieces, "decoder", decoders.Sequence(list(kinds)))  # noqa: B010  # which pyright does not know to be settable
    pieces.add_special_tokens([name])
    special = pieces.get_vocab_size() - 1
    transcript, _ = write_ids(output_format_of(pieces, specials={special: name}), [1, special, 2], end=False)
    assert transcript.choice_so_far().text == "one two"


def test_text_that_only_spells_a_special_token_stays(tokenizer: Tokenizer, specials: Mapping[int, str]):
    answer = written(tokenizer, specials, "ChatML has ", "<|im_", "start|>", " and so on")
    assert answer.text == "ChatML has <|im_start|> and so on"


def test_thoughts_hold_none_either(tokenizer: Tokenizer, specials: Mapping[int, str]):
    answer = written(
        tokenizer, specials, "h", "<|im_start|>", "m</think>One", transitions=TOOLS, initial=REASONING
    )
    assert (answer.reasoning, answer.text) == ("hm", "One")


def test_special_tokens_may_be_markers(tokenizer: Tokenizer, specials: Mapping[int, str]):
    call = '{"name": "f", "arguments": {}}'
    answer = written(
        tokenizer, specials, "<|im_start|>", "One", "<|call|>", call, "<|/call|>", transitions=CALL
    )
    assert (answer.text, [each.name for each in answer.tool_calls]) == ("One", ["f"])


def test_what_a_call_is_written_with_is_left_to_its_reader(tokenizer: Tokenizer, specials: Mapping[int, str]):
    call = '{"name": "f", "arguments": {"a": "', "<|arg|>", '"}}'
    answer = written(tokenizer, specials, "<|call|>", *call, "<|/call|>", transitions=CALL)
    assert json.loads(answer.tool_calls[0].arguments) == {"a": "<|arg|>"}


def test_markers_of_several_special_tokens_are_found(tokenizer: Tokenizer, specials: Mapping[int, str]):
    parts = ("<|open|>", "think", "<|sep|>", "hm", "<|open|>", "reply", "<|sep|>", "One")
    answer = written(tokenizer, specials, *parts, transitions=THOUGHT)
    assert (answer.reasoning, answer.text) == ("hm", "One")


@pytest.mark.parametrize("parts", [("<|open|>", "thing"), ("<|sep|>", "thing"), ("thing", "<|open|>")])
def test_what_might_have_become_a_marker_is_no_text(
    tokenizer: Tokenizer, specials: Mapping[int, str], parts: Sequence[str]
):
    assert written(tokenizer, specials, *parts, transitions=THOUGHT).text == "thing"


@pytest.mark.parametrize("stop", ["<|im_start|>", "<|im_start|>user", "\n<|im_start|>", "<|end▁of▁text|>"])
@pytest.mark.parametrize("skips", [True, False])
def test_a_stop_text_may_name_a_special_token(
    tokenizer: Tokenizer, specials: Mapping[int, str], stop: str, skips: bool
):
    parts = ("One\n", "<|im_start|>", "user", "<|end▁of▁text|>", "two")
    answer = written(tokenizer, specials if skips else {}, *parts, stop=[stop])
    before, _, _ = "".join(parts).partition(stop)
    expected = before.replace("<|im_start|>", "") if skips else before
    assert (answer.text, answer.stop, answer.finish_reason) == (expected, stop, "stop")


def test_a_stop_text_that_names_a_special_token_ends_thoughts_too(
    tokenizer: Tokenizer, specials: Mapping[int, str]
):
    parts = ("hm", "<|end▁of▁text|>", "more")
    answer = written(
        tokenizer, specials, *parts, stop=["<|end▁of▁text|>"], transitions=TOOLS, initial=REASONING
    )
    assert (answer.reasoning, answer.text, answer.stop) == ("hm", "", "<|end▁of▁text|>")


def test_half_a_character_before_a_special_token_is_marked_as_such(
    tokenizer: Tokenizer, specials: Mapping[int, str]
):
    transcript = Transcript(output_format_of(tokenizer, specials=specials))
    for token in (_bytes("é")[0], *ids_of(tokenizer, ("<|sep|>", "a"))):
        transcript.add(token)
    transcript.add(0, "stop")
    transcript.take()
    assert transcript.choice_so_far().text == "\ufffda"


def test_hidden_tokens_keep_their_probabilities(tokenizer: Tokenizer, specials: Mapping[int, str]):
    transcript = Transcript(output_format_of(tokenizer, specials=specials))
    for token in ids_of(tokenizer, ("a", "<|sep|>", "b")):
        chance = ScoredToken(str(token), b"", -0.5)
        transcript.add(token, None, TokenLogprobs(chance, (chance,)))
    transcript.add(0, "stop")
    transcript.take()
    answer = transcript.choice_so_far()
    assert answer.text == "ab"
    assert [each.hidden for each in answer.logprobs] == [False, True, False]


def test_another_worker_leaves_out_the_same(tokenizer: Tokenizer, specials: Mapping[int, str]):
    ids = ids_of(
        tokenizer,
        ("<|open|>", "thing ", "<|im_start|>", "é", "<|sep|>", "<|open|>", "think", "<|sep|>", "hm"),
    )
    output_format = output_format_of(tokenizer, THOUGHT, specials=specials)
    for cut in range(len(ids)):
        first, second = Transcript(output_format), Transcript(output_format)
        published = [piece for token in ids[:cut] if not first.add(token) and (piece := first.take())]
        second.replay(published)
        for token in ids[len(second.tokens) :]:
            second.add(token)
            second.take()
        second.add(0, "stop")
        second.take()
        answer = second.choice_so_far()
        assert (answer.text, answer.reasoning) == ("thing é", "hm")
