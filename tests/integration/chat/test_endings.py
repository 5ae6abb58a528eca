"""Where an answer ends, through real processes: calls that are cut, stop texts, special tokens, end markers."""

import json
from typing import Any

import openai
import pytest

from tests.support.stack import Stack

STORY = [{"role": "user", "content": "Tell me a story."}]


WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITIES: Any = [{"role": "user", "content": "What is the weather in Oslo and Lima?"}]


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_cut_is_told_as_far_as_it_goes(client: openai.OpenAI, stream: bool):
    asked: Any = {"model": "tiny-chat", "messages": CITIES, "tools": [WEATHER], "temperature": 0}

    def told(max_tokens: int) -> tuple[str, list[str], str | None]:
        """Content, arguments, and why it ended."""
        if not stream:
            [choice] = client.chat.completions.create(**asked, max_tokens=max_tokens).choices
            calls: Any = choice.message.tool_calls or ()
            return (
                choice.message.content or "",
                [call.function.arguments for call in calls],
                choice.finish_reason,
            )
        content, found, reason = "", list[str](), None
        for chunk in client.chat.completions.create(**asked, max_tokens=max_tokens, stream=True):
            [choice] = chunk.choices
            content += choice.delta.content or ""
            found += [
                call.function.arguments or "" for call in choice.delta.tool_calls or () if call.function
            ]
            reason = choice.finish_reason or reason
        return content, found, reason

    _, whole, reason = told(60)
    assert ([json.loads(each)["city"] for each in whole], reason) == (["Oslo", "Lima"], "tool_calls")
    most = 0
    for max_tokens in range(2, 46, 4):
        content, found, reason = told(max_tokens)
        assert (content, reason) == ("", "length")
        assert all(whole[place].startswith(each) for place, each in enumerate(found))
        assert len("".join(found)) >= most
        most = len("".join(found))
    assert most > len(whole[0])


@pytest.mark.parametrize("stop", ["\n", "\n\n"])
def test_white_space_that_is_not_shown_stops_nothing(client: openai.OpenAI, stop: str):
    added: Any = [{"role": "user", "content": "What is 4 plus 3?"}]
    reply = client.chat.completions.create(model="tiny-chat", messages=added, temperature=0, stop=stop)
    message: Any = reply.choices[0].message
    assert (message.content, message.reasoning_content.strip()) == (
        "4 plus 3 is 7.",
        "I add 3 to 4 and get 7.",
    )
    reply = client.chat.completions.create(
        model="tiny-chat", messages=CITIES, tools=[WEATHER], temperature=0, stop=stop
    )
    calls: Any = reply.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Lima"]


def test_special_tokens_are_text_only_for_who_asks(stack: Stack, client: openai.OpenAI):
    """888 is <|im_start|>, which the model is made to write."""
    asked: Any = {"messages": STORY}
    forced: Any = {"model": "tiny-chat", "max_tokens": 3, "logit_bias": {"888": 100}, "temperature": 0}
    shown = {"skip_special_tokens": False}
    reply = client.chat.completions.create(**asked, **forced)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("", "length")
    reply = client.chat.completions.create(**asked, **forced, extra_body=shown)
    assert reply.choices[0].message.content == "<|im_start|>" * 3
    text = client.completions.create(prompt="One", **forced, logprobs=0).choices[0]
    assert text.logprobs
    assert (text.text, text.logprobs.tokens, text.logprobs.text_offset) == (
        "",
        ["<|im_start|>"] * 3,
        [0, 0, 0],
    )
    ended = client.completions.create(prompt="One", **forced, stop="<|im_start|>").choices[0]
    assert (ended.text, ended.finish_reason) == ("", "stop")
    chunks = client.completions.create(prompt="One", **forced, extra_body=shown, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "<|im_start|>" * 3


@pytest.mark.parametrize("stream", [False, True])
def test_a_bare_prompt_ends_where_the_models_files_say(stack: Stack, stream: bool):
    body = {"model": "tiny-chat", "prompt": "The capital of France is", "raw": True, "stream": stream}
    body["options"] = {"temperature": 0, "num_predict": 12, "repeat_last_n": 0}
    lines = stack.http.post(f"{stack.url}/api/generate", json=body).text.splitlines()
    assert "".join(json.loads(line)["response"] for line in lines) == " Paris."
    assert json.loads(lines[-1])["done_reason"] == "stop"


def content_of(line: dict[str, Any]) -> str:
    """What a line or an event of any dialect adds to the answer."""
    if "choices" in line:
        [choice] = line["choices"]
        return (choice.get("delta") or choice.get("message", {})).get("content") or ""
    if "content" in line:
        return "".join(block.get("text", "") for block in line["content"])
    return line.get("delta", {}).get("text", "") or line.get("message", {}).get("content") or ""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "limits"),
    [
        ("/v1/chat/completions", {"stop": ["\n", " is"], "temperature": 0}),
        ("/v1/messages", {"stop_sequences": ["\n", " is"], "temperature": 0, "max_tokens": 60}),
        (
            "/api/chat",
            {"options": {"stop": ["\n", " is"], "temperature": 0, "repeat_last_n": 0}, "think": True},
        ),
    ],
)
def test_stop_texts_end_what_is_shown_in_every_dialect(
    stack: Stack, path: str, limits: dict[str, Any], stream: bool
):
    messages = [{"role": "user", "content": "What is 4 plus 3?"}]
    body = {"model": "tiny-chat", "messages": messages, "stream": stream, **limits}
    reply = stack.http.post(f"{stack.url}{path}", json=body).text
    lines = [line.removeprefix("data: ") for line in reply.splitlines()]
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert "".join(map(content_of, told)) == "4 plus 3"
    if path == "/v1/messages":
        assert '"stop_reason":"stop_sequence","stop_sequence":" is"' in reply
