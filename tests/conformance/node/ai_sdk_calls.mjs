// The AI SDK with its providers of OpenAI, OpenAI-compatible servers, Anthropic, Cohere and Ollama.
import assert from "node:assert/strict";
import test from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createCohere } from "@ai-sdk/cohere";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, Output, rerank, stepCountIs, streamText, tool } from "ai";
import { createOllama } from "ollama-ai-provider-v2";
import { z } from "zod";
import * as script from "./script.mjs";

const { url, CHAT, HELLO, CALL } = script;
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "unused" });
const compatible = createOpenAICompatible({
  name: "mlxq", baseURL: `${url}/v1`, includeUsage: true, supportsStructuredOutputs: true,
});
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: "unused" });
const cohere = createCohere({ baseURL: `${url}/v2`, apiKey: "unused" });
const ollama = createOllama({ baseURL: `${url}/api` });

const chats = {
  openai: (name) => openai.chat(name),
  compatible: (name) => compatible(name),
  anthropic: (name) => anthropic(name),
  cohere: (name) => cohere(name),
  ollama: (name) => ollama(name),
};
const weather = tool({
  description: "Tells the weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const person = z.object({ name: z.string(), age: z.number().int() });
const quiet = { maxRetries: 0, onError: () => {} };

for (const [name, make] of Object.entries(chats)) {
  const model = make(CHAT);

  test(`${name}: a chat is answered, with its usage`, async () => {
    const { text, finishReason, usage } = await generateText({ model, prompt: HELLO, ...quiet });
    assert.deepEqual([text, finishReason], [HELLO, "stop"]);
    assert.deepEqual([usage.inputTokens, usage.outputTokens], [3, 3]);
  });

  test(`${name}: a chat is streamed, with its usage`, async () => {
    const result = streamText({ model, prompt: HELLO, ...quiet });
    const texts = [];
    for await (const text of result.textStream) {
      texts.push(text);
    }
    assert.deepEqual(texts, script.WORDS);
    assert.equal((await result.usage).outputTokens, 3);
  });

  test(`${name}: a tool is called, and its result is answered`, async () => {
    const asked = { model, prompt: CALL, tools: { weather }, stopWhen: stepCountIs(3), ...quiet };
    const { text, steps } = await generateText(asked);
    assert.equal(text, "sunny in word");
    assert.deepEqual(steps[0].toolCalls.map((call) => [call.toolName, call.input]), [["weather", { city: "word" }]]);
    assert.equal(await streamText(asked).text, "sunny in word");
  });

  test(`${name}: a tool is forced`, async () => {
    for (const toolChoice of ["required", { type: "tool", toolName: "weather" }]) {
      const { toolCalls } = await generateText({ model, prompt: HELLO, tools: { weather }, toolChoice, ...quiet });
      assert.deepEqual(toolCalls.map((call) => call.input), [{ city: "word" }]);
    }
  });

  test(`${name}: an answer is an object`, async () => {
    const asked = { model, prompt: HELLO, output: Output.object({ schema: person }), ...quiet };
    assert.deepEqual((await generateText(asked)).output, script.PERSON);
    assert.deepEqual(await streamText(asked).output, script.PERSON);
  });

  const errors = [
    [script.UNKNOWN, HELLO, 404, /none/],
    [script.FULL, HELLO, 429, /queue is full/],
    [script.BROKEN, HELLO, 500, /Internal error/],
    [CHAT, script.TOO_LONG, 400, /long|context/],
  ];
  for (const [id, prompt, status, said] of errors) {
    test(`${name}: an error has its status ${status} and its message`, async () => {
      await assert.rejects(generateText({ model: make(id), prompt, ...quiet }), (error) => {
        assert.ok(APICallError.isInstance(error), error);
        assert.equal(error.statusCode, status);
        // Of Ollama's errors, which are texts, its provider shows the status alone.
        assert.match(name === "ollama" ? error.responseBody : error.message, said);
        return true;
      });
      let raised;
      const result = streamText({ model: make(id), prompt, maxRetries: 0, onError: ({ error }) => (raised = error) });
      await result.consumeStream();
      assert.equal(raised?.statusCode, status);
    });
  }
}

const embedders = {
  openai: (name) => openai.embedding(name),
  compatible: (name) => compatible.embeddingModel(name),
  cohere: (name) => cohere.embedding(name),
  ollama: (name) => ollama.embedding(name),
};
for (const [name, make] of Object.entries(embedders)) {
  test(`${name}: texts are embedded`, async () => {
    const { embeddings } = await embedMany({ model: make(script.EMBEDDER), values: ["one", "two"], maxRetries: 0 });
    assert.deepEqual(embeddings.map((vector) => vector.length), [script.SIZE, script.SIZE]);
    await assert.rejects(embedMany({ model: make(script.UNKNOWN), values: ["one"], maxRetries: 0 }), (error) => {
      assert.equal(error.statusCode, 404);
      assert.match(name === "ollama" ? error.responseBody : error.message, /none/);
      return true;
    });
  });
}

test("cohere: documents are ranked", async () => {
  const { ranking } = await rerank({
    model: cohere.reranking(script.RERANKER), query: script.QUERY, documents: script.DOCUMENTS, maxRetries: 0,
  });
  assert.deepEqual(ranking.map((each) => [each.originalIndex, each.score]), script.RANKING);
});

test("openai: a prompt is completed", async () => {
  const { text } = await generateText({ model: openai.completion(CHAT), prompt: HELLO, ...quiet });
  assert.ok(text.includes(HELLO));
});
