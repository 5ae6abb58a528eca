// Cohere's own clients, of both versions.
import assert from "node:assert/strict";
import test from "node:test";
import * as cohere from "cohere-ai";
import * as script from "./script.mjs";

const settings = { token: "unused", environment: script.url, maxRetries: 0 };
const v1 = new cohere.CohereClient(settings);
const v2 = new cohere.CohereClientV2(settings);
const ranked = { model: script.RERANKER, query: script.QUERY, documents: script.DOCUMENTS };

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

test("errors of embeddings and rankings are the clients' own", async () => {
  for (const client of [v1, v2]) {
    const embedding = { model: script.UNKNOWN, texts: ["one"], inputType: "search_query", embeddingTypes: ["float"] };
    await assert.rejects(client.embed(embedding), cohere.Cohere.NotFoundError);
    await assert.rejects(client.rerank({ ...ranked, documents: [] }), cohere.Cohere.BadRequestError);
  }
});
