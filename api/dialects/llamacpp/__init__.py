"""What llama.cpp's server has besides OpenAI's dialect: /tokenize, /detokenize, /props."""
