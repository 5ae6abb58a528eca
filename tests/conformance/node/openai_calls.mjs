// OpenAI's own client.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { isOfKind, testErrors } from "./errors.mjs";
import * as script from "./script.mjs";

const client = new OpenAI({ baseURL: `${script.url}/v1`, apiKey: "unused", maxRetries: 0 });
const tools = [{ type: "function", function: script.weather }];
const asked = (content = script.HELLO, more = {}) => ({
  model: script.CHAT,
  messages: [{ role: "user", content }],
  ...more,
});

test("a chat is answered, with its usage", async () => {
  const reply = await client.chat.completions.create(asked());
  assert.equal(reply.choices[0].message.content, script.HELLO);
  assert.equal(reply.choices[0].finish_reason, "stop");
  assert.deepEqual([reply.usage.prompt_tokens, reply.usage.completion_tokens], [3, 3]);
});

test("a chat is streamed, with its usage", async () => {
  const texts = [];
  let usage;
  const stream_options = { include_usage: true };
  for await (const chunk of await client.chat.completions.create({ ...asked(), stream: true, stream_options })) {
    texts.push(chunk.choices[0]?.delta.content);
    usage = chunk.usage ?? usage;
  }
  assert.deepEqual(texts.filter(Boolean), script.WORDS);
  assert.equal(usage.completion_tokens, 3);
});

test("the stream helper tells each text", async () => {
  const deltas = [];
  const stream = client.chat.completions.stream(asked()).on("content", (delta) => deltas.push(delta));
  assert.equal(await stream.finalContent(), script.HELLO);
  assert.deepEqual(deltas.filter(Boolean), script.WORDS);
});

test("a tool is run, and its result is answered", async () => {
  const fn = { ...script.weather, parse: JSON.parse, function: ({ city }) => `sunny in ${city}` };
  for (const stream of [false, true]) {
    const runner = client.chat.completions.runTools({
      ...asked(script.CALL), stream, tools: [{ type: "function", function: fn }],
    });
    assert.equal(await runner.finalContent(), "sunny in word");
  }
});

test("a streamed call comes together", async () => {
  const stream = client.chat.completions.stream({ ...asked(script.CALL), tools });
  const { choices } = await stream.finalChatCompletion();
  const [call] = choices[0].message.tool_calls;
  assert.equal(choices[0].finish_reason, "tool_calls");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "word" });
});

test("an answer is parsed", async () => {
  const person = z.object({ name: z.string(), age: z.number().int() });
  const reply = await client.chat.completions.parse({ ...asked(), response_format: zodResponseFormat(person, "person") });
  assert.deepEqual(reply.choices[0].message.parsed, script.PERSON);
});

test("a prompt is completed and streamed", async () => {
  const body = { model: script.CHAT, prompt: script.HELLO };
  assert.equal((await client.completions.create(body)).choices[0].text, script.HELLO);
  let text = "";
  for await (const chunk of await client.completions.create({ ...body, stream: true })) {
    text += chunk.choices[0].text;
  }
  assert.equal(text, script.HELLO);
});

test("texts are embedded, as floats and in base64", async () => {
  const body = { model: script.EMBEDDER, input: ["one", "two"] };
  const packed = await client.embeddings.create(body); // the client asks for base64 by itself
  const floats = await client.embeddings.create({ ...body, encoding_format: "float" });
  assert.deepEqual(packed.data.map((each) => each.embedding.length), [script.SIZE, script.SIZE]);
  packed.data[1].embedding.forEach((value, index) => {
    assert.ok(Math.abs(value - floats.data[1].embedding[index]) < 1e-6);
  });
});

test("models are listed and retrieved", async () => {
  const found = [];
  for await (const model of client.models.list()) {
    found.push(model.id);
  }
  assert.ok(found.includes(script.CHAT));
  assert.equal((await client.models.retrieve(script.CHAT)).id, script.CHAT);
});

const create = (stream) => (fields) => client.chat.completions.create({ ...asked(), ...fields, stream });
testErrors({
  calls: [create(false), create(true)],
  kinds: [OpenAI.NotFoundError, OpenAI.RateLimitError, OpenAI.InternalServerError, OpenAI.BadRequestError],
  wrong: { temperature: 9 },
  overlong: /maximum context length/,
  told(error, kind) {
    isOfKind(error, kind);
    return error.message;
  },
});
