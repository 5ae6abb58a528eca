"""Chat with OpenAI's own client: a stream, a call of a tool, an answer that must fit a schema.

    mlxq up --model tiny-chat=examples/tiny_chat/model       # in another terminal; or any chat model
    pip install openai && python examples/openai_chat.py

MLXQ_URL says where mlxq is, if not at http://127.0.0.1:8000; MLXQ_CHAT_MODEL names the model.
"""

import json
import os
from typing import Any

import openai

URL = os.environ.get("MLXQ_URL", "http://127.0.0.1:8000")
MODEL = os.environ.get("MLXQ_CHAT_MODEL", "tiny-chat")
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "year": {"type": "integer"}},
    "required": ["name", "year"],
    "additionalProperties": False,
}


def main() -> None:
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key="unused")

    # A stream: pieces as they are written, then how many tokens it was.
    question = "What is the capital of France?"
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    print(f"{question} ", end="")
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
        if chunk.usage:
            print(f" ({chunk.usage.completion_tokens} tokens)")

    # A tool: the model says what to call, you call it, and tell it what came out.
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    reply = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER], temperature=0)
    answer = reply.choices[0].message
    for call in answer.tool_calls or ():
        if call.type != "function":
            continue  # only functions were offered
        city = json.loads(call.function.arguments)["city"]
        print(f"{call.function.name}({city})", end=": ")
        found = {"temperature": 7, "sky": "rain"}
        messages += [answer, {"role": "tool", "tool_call_id": call.id, "content": json.dumps(found)}]
    reply = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER], temperature=0)
    print(reply.choices[0].message.content)

    # A schema: no other answer can be written.
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Describe Ada Lovelace as JSON with name and year."}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}},
        temperature=0,
    )
    person = json.loads(reply.choices[0].message.content or "")
    print(f"{person['name']}, born {person['year']}")


if __name__ == "__main__":
    main()
