"""Fields of bodies that vLLM has beyond OpenAI's."""
