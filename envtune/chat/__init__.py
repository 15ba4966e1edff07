"""Words in and out of the model: the response protocol, the prompts, and the token ids around them."""
