// Prints which fields the AI SDK's providers send to each endpoint, those of objects inside with a point, as JSON.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createCohere } from "@ai-sdk/cohere";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOllama } from "ollama-ai-provider-v2";
import ts from "typescript";
import { membersOf, readInterface } from "./types.mjs";

const found = {};
const unsent = [];
let dialect;

// Stands for the network: notes the request, and fails.
async function fetch(url, { body }) {
  const names = (found[`${dialect} POST ${new URL(url).pathname}`] ??= new Set());
  for (const [name, value] of Object.entries(JSON.parse(body))) {
    names.add(name);
    if (value && typeof value === "object" && !Array.isArray(value)) {
      Object.keys(value).forEach((inner) => names.add(`${name}.${inner}`));
    }
  }
  throw new Error("noted");
}

const common = { fetch, apiKey: "unused", baseURL: "http://server/v1" };
const PROVIDERS = {
  openai: ["openai", createOpenAI(common)],
  compatible: [
    "openai", createOpenAICompatible({ ...common, name: "compatible", includeUsage: true, supportsStructuredOutputs: true }),
  ],
  anthropic: ["anthropic", createAnthropic(common)],
  cohere: ["cohere", createCohere({ ...common, baseURL: "http://server/v2" })],
  ollama: ["ollama", createOllama({ ...common, baseURL: "http://server/api" })],
};
const MODELS = {
  chat: (provider, id) => (provider.chat ?? provider.chatModel ?? provider)(id),
  completion: (provider, id, settings) => (provider.completion ?? provider.completionModel)(id, settings),
  embedding: (provider, id, settings) => (provider.embedding ?? provider.embeddingModel)(id, settings),
  reranking: (provider, id) => provider.reranking(id),
};
const IDS = ["m", "gpt-5", "claude-opus-4-6"]; // some providers look at names for what a model can do

const schema = { type: "object", properties: { a: { type: "string" } }, additionalProperties: false };
const prompt = [{ role: "user", content: [{ type: "text", text: "a" }] }];
const CHAT_OPTIONS = [
  { maxOutputTokens: 5 }, { temperature: 0.5 }, { stopSequences: ["x"] }, { topP: 0.5 }, { topK: 5 },
  { presencePenalty: 0.5 }, { frequencyPenalty: 0.5 }, { seed: 5 }, { reasoning: "high" },
  { responseFormat: { type: "json" } }, { responseFormat: { type: "json", schema, name: "a", description: "b" } },
  ...["auto", "required", "none"].map((type) => (
    { tools: [{ type: "function", name: "f", inputSchema: schema, strict: true }], toolChoice: { type } }
  )),
];
const CALLS = {
  chat: [
    ...CHAT_OPTIONS.map((options) => (model) => model.doGenerate({ prompt, ...options })),
    (model) => model.doStream({ prompt }),
  ],
  completion: [(model) => model.doGenerate({ prompt }), (model) => model.doStream({ prompt })],
  embedding: [(model) => model.doEmbed({ values: ["a"] })],
  reranking: [(model) => model.doRerank({ query: "a", documents: { type: "text", values: ["b"] }, topN: 1 })],
};
CALLS.completion.push(...CHAT_OPTIONS.map((options) => (model) => model.doGenerate({ prompt, ...options })));
const WITH_SETTING = {
  chat: (model, more) => model.doGenerate({ prompt, ...more }),
  completion: (model, more) => model.doGenerate({ prompt, ...more }),
  embedding: (model, more) => model.doEmbed({ values: ["a"], ...more }),
  reranking: (model, more) => model.doRerank({ query: "a", documents: { type: "text", values: ["b"] }, ...more }),
};

// Where a value of the type is not enough.
const VALUES = {
  "openai chat metadata": { a: "a" },
  "anthropic chat taskBudget": { type: "tokens", total: 50_000 },
  "anthropic chat container": { id: "a" },
};

const { checker, declared, properties } = readInterface("settings.ts", "Settings");

// Values of a type, so many that each kind that it may be is among them.
function samples(type) {
  if (type.isUnion()) {
    return type.types.filter((each) => !(each.flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Null))).flatMap(samples);
  }
  if (type.isLiteral()) {
    return [type.value];
  }
  if (type.flags & ts.TypeFlags.BooleanLiteral) {
    return [checker.typeToString(type) === "true"];
  }
  if (type.flags & ts.TypeFlags.StringLike) {
    return ["a"];
  }
  if (type.flags & ts.TypeFlags.NumberLike) {
    return [1];
  }
  if (checker.isArrayType(type)) {
    return samples(checker.getTypeArguments(type)[0]).map((each) => [each]);
  }
  if (type.flags & ts.TypeFlags.Object) {
    const fields = checker.getPropertiesOfType(type).map((each) => (
      [each.name, samples(checker.getTypeOfSymbolAtLocation(each, declared)).at(-1)]
    ));
    return [fields.length ? Object.fromEntries(fields) : { 1: 1 }];
  }
  return ["a"];
}

async function send(call, what) {
  try {
    await call();
    unsent.push(what);
  } catch (error) {
    return error.message.includes("noted") || error.cause?.message?.includes("noted");
  }
}

for (const [key, type] of properties) {
  const [name, kind] = key.split(" ");
  const provider = PROVIDERS[name][1];
  dialect = PROVIDERS[name][0];
  for (const model of IDS.map((id) => MODELS[kind](provider, id))) {
    for (const call of CALLS[kind]) {
      await send(() => call(model), key);
    }
  }
  const settings = membersOf(type).flatMap((each) => checker.getPropertiesOfType(each));
  for (const setting of settings) {
    const what = `${key} ${setting.name}`;
    const values = VALUES[what] ? [VALUES[what]] : samples(checker.getTypeOfSymbolAtLocation(setting, declared));
    const sent = [];
    for (const value of values) {
      // Some providers read a setting when the model is made.
      for (const model of IDS.map((id) => MODELS[kind](provider, id, { [setting.name]: value }))) {
        const providerOptions = { [name]: { [setting.name]: value } };
        sent.push(await send(() => WITH_SETTING[kind](model, { providerOptions }), what));
      }
    }
    if (!sent.some(Boolean)) {
      unsent.push(what);
    }
  }
}
const names = Object.entries(found).map(([call, each]) => [call, [...each].sort()]);
console.log(JSON.stringify({ calls: Object.fromEntries(names), unsent }));
