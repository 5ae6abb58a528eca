// Cohere's own clients, of both versions.
import assert from "node:assert/strict";
import test from "node:test";
import * as cohere from "cohere-ai";
import { isOfKind, testErrors } from "./errors.mjs";
import * as script from "./script.mjs";

const settings = { token: "unused", environment: script.url, maxRetries: 0 };
const v1 = new cohere.CohereClient(settings);
const v2 = new cohere.CohereClientV2(settings);
const tools = [{ type: "function", function: script.weather }];
const asked = (content = script.HELLO, more = {}) => ({
  model: script.CHAT,
  messages: [{ role: "user", content }],
  ...more,
});
const ranked = { model: script.RERANKER, query: script.QUERY, documents: script.DOCUMENTS };

test("a chat is answered, with its usage", async () => {
  const reply = await v2.chat(asked());
  assert.equal(reply.message.content[0].text, script.HELLO);
  assert.equal(reply.finishReason, "COMPLETE");
  assert.deepEqual([reply.usage.tokens.inputTokens, reply.usage.tokens.outputTokens], [3, 3]);
});

test("a chat is streamed", async () => {
  const events = [];
  for await (const event of await v2.chatStream(asked())) {
    events.push(event);
  }
  const texts = events.filter((event) => event.type === "content-delta").map((event) => event.delta.message.content.text);
  assert.deepEqual(texts, script.WORDS);
  assert.deepEqual([events[0].type, events.at(-1).type], ["message-start", "message-end"]);
});

test("a tool is called, and its result is answered", async () => {
  const first = await v2.chat(asked(script.CALL, { tools }));
  const [call] = first.message.toolCalls;
  assert.equal(first.finishReason, "TOOL_CALL");
  assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ["weather", { city: "word" }]);
  const turn = { role: "assistant", toolCalls: first.message.toolCalls };
  const result = { role: "tool", toolCallId: call.id, content: "sunny" };
  const reply = await v2.chat({ model: script.CHAT, messages: [...asked(script.CALL).messages, turn, result], tools });
  assert.equal(reply.message.content[0].text, "sunny");
});

test("a streamed call comes together", async () => {
  let [name, input] = ["", ""];
  for await (const event of await v2.chatStream(asked(script.CALL, { tools }))) {
    name += event.delta?.message?.toolCalls?.function?.name ?? "";
    input += event.delta?.message?.toolCalls?.function?.arguments ?? "";
  }
  assert.deepEqual([name, JSON.parse(input)], ["weather", { city: "word" }]);
});

test("an answer is an object", async () => {
  const responseFormat = { type: "json_object", jsonSchema: script.personSchema };
  const reply = await v2.chat(asked(script.HELLO, { responseFormat }));
  assert.deepEqual(JSON.parse(reply.message.content[0].text), script.PERSON);
});

test("texts are embedded by both versions", async () => {
  const body = { model: script.EMBEDDER, texts: ["one", "two"], inputType: "search_document" };
  const first = await v1.embed(body);
  assert.deepEqual(first.embeddings.map((vector) => vector.length), [script.SIZE, script.SIZE]);
  const second = await v2.embed({ ...body, embeddingTypes: ["float", "int8"] });
  assert.deepEqual(second.embeddings.float.map((vector) => vector.length), [script.SIZE, script.SIZE]);
  assert.equal(second.embeddings.int8.length, 2);
});

test("documents are ranked by both versions", async () => {
  for (const client of [v1, v2]) {
    const { results } = await client.rerank(ranked);
    assert.deepEqual(results.map((each) => [each.index, each.relevanceScore]), script.RANKING);
  }
});

test("models are listed", async () => {
  const { models } = await v1.models.list();
  assert.ok(models.some((model) => model.name === script.CHAT));
});

const { NotFoundError, TooManyRequestsError, InternalServerError, BadRequestError } = cohere.Cohere;
testErrors({
  calls: [(fields) => v2.chat({ ...asked(), ...fields }), (fields) => v2.chatStream({ ...asked(), ...fields })],
  kinds: [NotFoundError, TooManyRequestsError, InternalServerError, BadRequestError],
  wrong: { temperature: -1 },
  overlong: /too many tokens/,
  told(error, kind) {
    isOfKind(error, kind);
    return error.body.message;
  },
});

test("errors of embeddings and rankings are the clients' own", async () => {
  for (const client of [v1, v2]) {
    const embedding = { model: script.UNKNOWN, texts: ["one"], inputType: "search_query", embeddingTypes: ["float"] };
    await assert.rejects(client.embed(embedding), NotFoundError);
    await assert.rejects(client.rerank({ ...ranked, documents: [] }), BadRequestError);
  }
});
