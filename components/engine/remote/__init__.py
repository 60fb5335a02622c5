"""A model on another server, behind OpenAI's API: vLLM, SGLang, this application, or any other that speaks it."""
