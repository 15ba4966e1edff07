"""The model's text: the response protocol, the prompts, and their token ids."""
