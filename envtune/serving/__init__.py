"""An OpenAI-compatible chat endpoint that translates to the response protocol of training and a completion server."""
