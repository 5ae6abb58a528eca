// What the AI SDK's providers take besides a call's own options: requests.mjs sends each, and reads the request.
import type { AnthropicLanguageModelOptions } from "@ai-sdk/anthropic";
import type {
  CohereEmbeddingModelOptions, CohereLanguageModelChatOptions, CohereRerankingModelOptions,
} from "@ai-sdk/cohere";
import type {
  OpenAIEmbeddingModelOptions, OpenAILanguageModelChatOptions, OpenAILanguageModelCompletionOptions,
} from "@ai-sdk/openai";
import type {
  OpenAICompatibleEmbeddingModelOptions,
  OpenAICompatibleLanguageModelChatOptions,
  OpenAICompatibleLanguageModelCompletionOptions,
} from "@ai-sdk/openai-compatible";
import type { Options } from "ollama";
import type { OllamaCompletionProviderOptions, OllamaEmbeddingProviderOptions } from "ollama-ai-provider-v2";

// Its provider exports no type for it.
interface OllamaChatProviderOptions {
  think?: boolean;
  options?: Options;
}

export interface Settings {
  "openai chat": OpenAILanguageModelChatOptions;
  "openai completion": OpenAILanguageModelCompletionOptions;
  "openai embedding": OpenAIEmbeddingModelOptions;
  "compatible chat": OpenAICompatibleLanguageModelChatOptions;
  "compatible completion": OpenAICompatibleLanguageModelCompletionOptions;
  "compatible embedding": OpenAICompatibleEmbeddingModelOptions;
  "anthropic chat": AnthropicLanguageModelOptions;
  "cohere chat": CohereLanguageModelChatOptions;
  "cohere embedding": CohereEmbeddingModelOptions;
  "cohere reranking": CohereRerankingModelOptions;
  "ollama chat": OllamaChatProviderOptions;
  "ollama completion": OllamaCompletionProviderOptions;
  "ollama embedding": OllamaEmbeddingProviderOptions;
}
