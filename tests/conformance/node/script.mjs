// What the server serves and answers: ../clients/script.py says what each name means.
export const url = process.env.MLXQ_TEST_URL;

export const CHAT = "org/chat";
export const EMBEDDER = "org/model";
export const RERANKER = "org/reranker";
export const UNKNOWN = "org/none";
export const FULL = "org/full-chat";
export const BROKEN = "org/broken-chat";

export const SIZE = 384;
export const HELLO = "one two three";
export const WORDS = ["one", " two", " three"];
export const CALL = "call the tool";
export const TOO_LONG = "word ".repeat(5000);

export const QUERY = "deep learning";
export const DOCUMENTS = ["the weather is nice", "deep learning uses networks", "learning to swim"];
export const RANKING = [[1, 1], [2, 0.5], [0, 0]];

export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

export const weather = {
  name: "weather",
  description: "Tells the weather in a city.",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

export const PERSON = { name: "word", age: 7 };
export const personSchema = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
