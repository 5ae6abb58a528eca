// Reads one streamed answer with each official client, all at once, and prints them as one JSON object:
//   node read.mjs '{"url": "http://…", "model": "…", "content": "…", "tool": null}'
// Of each reader: {"text", "calls": [[name, arguments], …]}, or {"error"}. A tool, {"name", "parameters"}, must be called.
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";

const { url, model, content, tool } = JSON.parse(process.argv[2]);
const messages = [{ role: "user", content }];

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0 });
const ollama = new Ollama({ host: url });

const functionTool = tool && { type: "function", function: { ...tool, strict: true } };
const openaiAsked = { model, messages, ...(tool && { tools: [functionTool], tool_choice: "required" }) };
const anthropicAsked = {
  model,
  messages,
  max_tokens: 10_000,
  ...(tool && { tools: [{ name: tool.name, input_schema: tool.parameters }], tool_choice: { type: "any" } }),
};

async function openaiChat() {
  let text = "";
  const calls = [];
  for await (const chunk of await openai.chat.completions.create({ ...openaiAsked, stream: true })) {
    for (const { delta } of chunk.choices) {
      text += delta.content ?? "";
      for (const { index, function: called } of delta.tool_calls ?? []) {
        calls[index] ??= ["", ""];
        calls[index][0] += called.name ?? "";
        calls[index][1] += called.arguments ?? "";
      }
    }
  }
  return { text, calls: calls.map(([name, given]) => [name, JSON.parse(given)]) };
}

async function openaiChatHelper() {
  const { choices } = await openai.chat.completions.stream(openaiAsked).finalChatCompletion();
  const calls = (choices[0].message.tool_calls ?? []).map((call) => call.function);
  const text = choices[0].message.content ?? "";
  return { text, calls: calls.map((called) => [called.name, JSON.parse(called.arguments)]) };
}

async function openaiCompletion() {
  let text = "";
  for await (const chunk of await openai.completions.create({ model, prompt: content, stream: true })) {
    text += chunk.choices[0].text;
  }
  return { text, calls: [] };
}

async function anthropicMessage() {
  const blocks = [];
  for await (const event of await anthropic.messages.create({ ...anthropicAsked, stream: true })) {
    if (event.type === "content_block_start") {
      blocks[event.index] = { ...event.content_block, written: "" };
    } else if (event.type === "content_block_delta") {
      blocks[event.index].written += event.delta.text ?? event.delta.partial_json ?? "";
    }
  }
  const calls = blocks.filter((block) => block.type === "tool_use");
  const texts = blocks.filter((block) => block.type === "text");
  return {
    text: texts.map((block) => block.written).join(""),
    calls: calls.map((block) => [block.name, JSON.parse(block.written)]),
  };
}

async function anthropicMessageHelper() {
  const { content: blocks } = await anthropic.messages.stream(anthropicAsked).finalMessage();
  const calls = blocks.filter((block) => block.type === "tool_use");
  const texts = blocks.filter((block) => block.type === "text");
  return {
    text: texts.map((block) => block.text).join(""),
    calls: calls.map((block) => [block.name, block.input]),
  };
}

async function ollamaChat() {
  let text = "";
  const calls = [];
  const tools = tool && [{ type: "function", function: tool }];
  for await (const part of await ollama.chat({ model, messages, tools, stream: true })) {
    text += part.message.content;
    for (const call of part.message.tool_calls ?? []) {
      calls.push([call.function.name, call.function.arguments]);
    }
  }
  return { text, calls };
}

async function ollamaGenerate() {
  let text = "";
  for await (const part of await ollama.generate({ model, prompt: content, stream: true })) {
    text += part.response;
  }
  return { text, calls: [] };
}

const chats = { openaiChat, openaiChatHelper, anthropicMessage, anthropicMessageHelper, ollamaChat };
const readers = tool ? chats : { ...chats, openaiCompletion, ollamaGenerate };
const found = Object.entries(readers).map(async ([name, read]) => {
  try {
    return [name, await read()];
  } catch (error) {
    return [name, { error: String(error.stack) }];
  }
});
console.log(JSON.stringify(Object.fromEntries(await Promise.all(found))));
