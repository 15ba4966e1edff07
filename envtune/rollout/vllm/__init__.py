"""The sampler on vLLM's engine, in a child process of the trainer or in a server."""
