"""A chat endpoint in OpenAI's protocol around the response protocol of training, in front of a completion server."""
