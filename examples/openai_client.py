"""Embeddings with OpenAI's own client: one text, a batch, base64, errors.

    mlxq up                                       # in another terminal
    pip install openai && python examples/openai_client.py

MLXQ_URL says where mlxq is, if not at http://127.0.0.1:8000.
"""

import base64
import os
import struct

import openai

URL = os.environ.get("MLXQ_URL", "http://127.0.0.1:8000")


def main() -> None:
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key="unused")

    models = [model.id for model in client.models.list()]
    print("models:", ", ".join(models))
    model = models[0]

    # One text. The client asks for base64 behind your back and gives you floats.
    reply = client.embeddings.create(model=model, input="The kettle is boiling.")
    print(f"one text: {len(reply.data[0].embedding)} values, {reply.usage.total_tokens} tokens")

    # Many texts in one request: the vectors come back in the texts' order.
    texts = ["Water heats up for tea.", "The kettle is boiling.", "Shares fell on Monday."]
    batch = client.embeddings.create(model=model, input=texts)
    first, *others = [item.embedding for item in batch.data]
    for text, other in zip(texts[1:], others, strict=True):
        print(f"similarity {sum(a * b for a, b in zip(first, other, strict=True)):.2f}: {text}")

    # base64: a quarter of the bytes, float32 in little-endian order.
    packed = client.embeddings.create(model=model, input=texts[1], encoding_format="base64")
    raw = base64.b64decode(str(packed.data[0].embedding))
    print(f"base64: {len(raw)} bytes, {len(struct.unpack(f'<{len(raw) // 4}f', raw))} values")

    # An overlong text is an error, not a silent cut; `truncate` asks for the cut.
    long_text = "and so on " * 5000
    try:
        client.embeddings.create(model=model, input=long_text)
    except openai.BadRequestError as error:
        print(f"too long: {error.code}")
    cut = client.embeddings.create(model=model, input=long_text, extra_body={"truncate": "end"})
    print(f"truncated: {cut.usage.total_tokens} tokens read")


if __name__ == "__main__":
    main()
