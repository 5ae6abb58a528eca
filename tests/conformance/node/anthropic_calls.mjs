// Anthropic's own client.
import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { isOfKind, testErrors } from "./errors.mjs";
import * as script from "./script.mjs";

const client = new Anthropic({ baseURL: script.url, apiKey: "unused", maxRetries: 0 });
const tools = [{ name: "weather", description: script.weather.description, input_schema: script.weather.parameters }];
const asked = (content = script.HELLO, more = {}) => ({
  model: script.CHAT,
  max_tokens: 500,
  messages: [{ role: "user", content }],
  ...more,
});

test("a message is answered, with its usage", async () => {
  const reply = await client.messages.create(asked());
  assert.deepEqual(reply.content.map((block) => block.text), [script.HELLO]);
  assert.equal(reply.stop_reason, "end_turn");
  assert.deepEqual([reply.usage.input_tokens, reply.usage.output_tokens], [3, 3]);
});

test("a message is streamed, with its usage", async () => {
  const texts = [];
  const stream = client.messages.stream(asked()).on("text", (text) => texts.push(text));
  const reply = await stream.finalMessage();
  assert.deepEqual(texts, script.WORDS);
  assert.deepEqual([reply.usage.input_tokens, reply.usage.output_tokens], [3, 3]);
});

test("a tool is called, whole and in a stream", async () => {
  const whole = await client.messages.create(asked(script.CALL, { tools }));
  const streamed = await client.messages.stream(asked(script.CALL, { tools })).finalMessage();
  for (const reply of [whole, streamed]) {
    const [call] = reply.content.filter((block) => block.type === "tool_use");
    assert.equal(reply.stop_reason, "tool_use");
    assert.deepEqual([call.name, call.input], ["weather", { city: "word" }]);
  }
});

test("a tool is run, and its result is answered", async () => {
  const tool = betaTool({
    name: "weather",
    description: script.weather.description,
    inputSchema: script.weather.parameters,
    run: ({ city }) => `sunny in ${city}`,
  });
  for (const stream of [false, true]) {
    const reply = await client.beta.messages.toolRunner({ ...asked(script.CALL), tools: [tool], stream }).runUntilDone();
    assert.equal(reply.content[0].text, "sunny in word");
  }
});

test("an answer is an object", async () => {
  const output_config = { format: { type: "json_schema", schema: script.personSchema } };
  const reply = await client.messages.create(asked(script.HELLO, { output_config }));
  assert.deepEqual(JSON.parse(reply.content[0].text), script.PERSON);
});

test("thoughts are blocks of their own", async () => {
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const reply = await client.messages.stream(asked(script.HELLO, { thinking, max_tokens: 2000 })).finalMessage();
  assert.deepEqual(reply.content.map((block) => block.type), ["thinking", "text"]);
});

test("tokens are counted", async () => {
  const { model, messages } = asked();
  assert.equal((await client.messages.countTokens({ model, messages })).input_tokens, 3);
});

test("models are listed and retrieved", async () => {
  const found = [];
  for await (const model of client.models.list()) {
    found.push(model.id);
  }
  assert.ok(found.includes(script.CHAT));
  assert.equal((await client.models.retrieve(script.CHAT)).id, script.CHAT);
});

const create = (stream) => (fields) => client.messages.create({ ...asked(), ...fields, stream });
testErrors({
  calls: [create(false), create(true)],
  kinds: [
    Anthropic.NotFoundError, Anthropic.RateLimitError, Anthropic.InternalServerError, Anthropic.BadRequestError,
  ],
  wrong: { temperature: 9 },
  overlong: /prompt is too long/,
  told(error, kind) {
    isOfKind(error, kind);
    assert.equal(error.error.type, "error");
    return error.message;
  },
});
