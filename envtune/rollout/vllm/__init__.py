"""The sampler on vLLM's engine, in a process of the trainer or in a server."""
