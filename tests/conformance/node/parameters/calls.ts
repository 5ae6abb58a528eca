// Which type each client has for the body or the query of each endpoint: parameters.mjs names their properties.
import type Anthropic from "@anthropic-ai/sdk";
import type { Cohere } from "cohere-ai";
import type * as ollama from "ollama";
import type OpenAI from "openai";
import type * as chats from "openai/resources/chat/completions";

export interface Calls {
  "openai POST /v1/chat/completions": OpenAI.ChatCompletionCreateParams;
  "openai POST /v1/completions": OpenAI.CompletionCreateParams;
  "openai POST /v1/embeddings": OpenAI.EmbeddingCreateParams;
  "openai GET /v1/chat/completions": chats.ChatCompletionListParams;
  "openai POST /v1/chat/completions/{completion_id}": chats.ChatCompletionUpdateParams;
  "openai GET /v1/chat/completions/{completion_id}/messages": chats.MessageListParams;
  "openai GET /v1/vector_stores": OpenAI.VectorStoreListParams;
  "openai POST /v1/vector_stores/{vector_store_id}/search": OpenAI.VectorStoreSearchParams;
  "openai GET /v1/vector_stores/{vector_store_id}/files": OpenAI.VectorStores.FileListParams;
  "anthropic POST /v1/messages": Anthropic.MessageCreateParams | Anthropic.Beta.MessageCreateParams;
  "anthropic POST /v1/messages/count_tokens":
    | Anthropic.MessageCountTokensParams
    | Anthropic.Beta.Messages.MessageCountTokensParams;
  "v1_models GET /v1/models": Anthropic.ModelListParams | Cohere.ModelsListRequest;
  "ollama POST /api/chat": ollama.ChatRequest;
  "ollama POST /api/generate": ollama.GenerateRequest;
  "ollama POST /api/embed": ollama.EmbedRequest;
  "ollama POST /api/embeddings": ollama.EmbeddingsRequest;
  "ollama POST /api/show": ollama.ShowRequest;
  "ollama POST /api/pull": ollama.PullRequest;
  "ollama POST /api/create": ollama.CreateRequest;
  "ollama POST /api/copy": ollama.CopyRequest;
  "ollama DELETE /api/delete": ollama.DeleteRequest;
  "cohere POST /v2/chat": Cohere.V2ChatRequest | Cohere.V2ChatStreamRequest;
  "cohere POST /v2/embed": Cohere.V2EmbedRequest;
  "cohere POST /v2/rerank": Cohere.V2RerankRequest;
  "cohere POST /v1/embed": Cohere.EmbedRequest;
  "cohere POST /v1/rerank": Cohere.RerankRequest;
  "cohere POST /v1/tokenize": Cohere.TokenizeRequest;
  "cohere POST /v1/detokenize": Cohere.DetokenizeRequest;
}
