// Ollama's own client.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { Ollama } from "ollama";
import { testErrors } from "./errors.mjs";
import * as script from "./script.mjs";

const client = new Ollama({ host: script.url });
const tools = [{ type: "function", function: script.weather }];
const asked = (content = script.HELLO, more = {}) => ({
  model: script.CHAT,
  messages: [{ role: "user", content }],
  ...more,
});

test("every method of the client is called here", async () => {
  const source = await readFile(new URL(import.meta.url), "utf8");
  const elsewhere = ["constructor", "abort", "encodeImage", "fileExists", "processStreamableRequest", "webSearch", "webFetch"];
  const methods = [];
  for (let of = Object.getPrototypeOf(client); of !== Object.prototype; of = Object.getPrototypeOf(of)) {
    methods.push(...Object.getOwnPropertyNames(of));
  }
  assert.ok(methods.includes("chat"));
  assert.deepEqual(methods.filter((name) => !elsewhere.includes(name) && !source.includes(`client.${name}(`)), []);
});

async function gather(stream, read) {
  const parts = [];
  for await (const part of stream) {
    parts.push(read(part));
  }
  return parts;
}

test("a chat is answered and streamed", async () => {
  const reply = await client.chat(asked());
  assert.equal(reply.message.content, script.HELLO);
  assert.deepEqual([reply.done_reason, reply.prompt_eval_count, reply.eval_count], ["stop", 3, 3]);
  const parts = await gather(await client.chat({ ...asked(), stream: true }), (part) => part.message.content);
  assert.deepEqual(parts.filter(Boolean), script.WORDS);
});

test("a prompt is answered and streamed", async () => {
  const body = { model: script.CHAT, prompt: script.HELLO };
  assert.equal((await client.generate(body)).response, script.HELLO);
  const parts = await gather(await client.generate({ ...body, stream: true }), (part) => part.response);
  assert.deepEqual(parts.filter(Boolean), script.WORDS);
});

test("a tool is called, and its result is answered", async () => {
  const first = await client.chat({ ...asked(script.CALL), tools });
  assert.deepEqual(first.message.tool_calls[0].function, { ...first.message.tool_calls[0].function, name: "weather", arguments: { city: "word" } });
  const streamed = await gather(await client.chat({ ...asked(script.CALL), tools, stream: true }), (part) => part.message);
  assert.deepEqual(streamed.flatMap((message) => message.tool_calls ?? [])[0].function.arguments, { city: "word" });
  const messages = [...asked(script.CALL).messages, first.message, { role: "tool", tool_name: "weather", content: "sunny" }];
  assert.equal((await client.chat({ model: script.CHAT, messages, tools })).message.content, "sunny");
});

test("an answer is an object", async () => {
  const reply = await client.chat({ ...asked(), format: script.personSchema });
  assert.deepEqual(JSON.parse(reply.message.content), script.PERSON);
});

test("a picture is seen, and thoughts are apart", async () => {
  const messages = [{ role: "user", content: "what?", images: [script.PIXEL] }];
  assert.equal((await client.chat({ model: script.CHAT, messages })).message.content, "<image> what?");
  assert.equal((await client.chat({ ...asked(), think: true })).message.thinking, "Hm.");
});

test("texts are embedded", async () => {
  const found = await client.embed({ model: script.EMBEDDER, input: ["one", "two"] });
  assert.deepEqual(found.embeddings.map((vector) => vector.length), [script.SIZE, script.SIZE]);
  const one = await client.embeddings({ model: script.EMBEDDER, prompt: "one" });
  assert.equal(one.embedding.length, script.SIZE);
});

test("models are listed and shown, and the version is told", async () => {
  const { models } = await client.list();
  assert.ok(models.some((model) => model.name === `${script.CHAT}:latest`));
  assert.ok((await client.ps()).models.length > 0);
  assert.ok((await client.show({ model: script.CHAT })).capabilities.includes("tools"));
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+/);
});

test("models are loaded and unloaded", async () => {
  assert.equal((await client.generate({ model: script.CHAT, prompt: "", keep_alive: "5m" })).done_reason, "load");
  assert.equal((await client.chat({ model: script.CHAT, messages: [], keep_alive: -1 })).done_reason, "load");
  assert.deepEqual((await client.embed({ model: script.EMBEDDER, input: [], keep_alive: "1h" })).embeddings, []);
  assert.deepEqual((await client.embeddings({ model: script.EMBEDDER, prompt: "" })).embedding, []);
  assert.equal((await client.generate({ model: script.CHAT, prompt: "", keep_alive: 0 })).done_reason, "unload");
  assert.equal((await client.chat({ model: script.EMBEDDER, messages: [], keep_alive: "0" })).done_reason, "unload");
  const loaded = (await client.ps()).models.map((model) => model.name);
  assert.ok(!loaded.includes(`${script.CHAT}:latest`) && !loaded.includes(`${script.EMBEDDER}:latest`));
});

test("models are copied, created from others and deleted", async () => {
  assert.equal((await client.copy({ source: script.CHAT, destination: "poet" })).status, "success");
  const made = { model: "poet:v2", from: script.CHAT, system: "Rhyme.", parameters: { temperature: 0.1, stop: ["END"] } };
  assert.equal((await client.create(made)).status, "success");
  const parts = await gather(await client.create({ ...made, stream: true }), (part) => part.status);
  assert.equal(parts.at(-1), "success");
  assert.equal((await client.delete({ model: script.CHAT })).status, "success");
  const unknown = [() => client.copy({ source: script.UNKNOWN, destination: "other" }), () => client.delete({ model: script.UNKNOWN })];
  for (const call of unknown) {
    await assert.rejects(call, (error) => error.status_code === 404 && /not found/.test(error.message));
  }
});

test("a model is pulled", async () => {
  assert.equal((await client.pull({ model: "org/new" })).status, "success");
  const parts = await gather(await client.pull({ model: "org/new", stream: true }), (part) => part.status);
  assert.equal(parts.at(-1), "success");
});

test("System One models are not served", async () => {
  await assert.rejects(
    client.systemone({ model: script.CHAT, state: "a state", questions: {} }),
    (error) => error.status_code === 501 && /System One/.test(error.message),
  );
});

test("models are not pushed", async () => {
  for (const stream of [false, true]) {
    await assert.rejects(
      async () => gather(await client.push({ model: script.CHAT, stream }), (part) => part),
      (error) => error.status_code === 501 && /not pushed/.test(error.message),
    );
  }
});

testErrors({
  calls: [
    (fields) => client.chat({ ...asked(), ...fields }),
    async (fields) => gather(await client.chat({ ...asked(), ...fields, stream: true }), (part) => part),
  ],
  kinds: [404, 429, 500, 400],
  wrong: { keep_alive: "soon" },
  overlong: /maximum context length/,
  told(error, status) {
    assert.deepEqual([error.name, error.status_code], ["ResponseError", status]);
    return error.message;
  },
});
