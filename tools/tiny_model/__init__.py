"""The recipe of the embedded model, `python -m tools.tiny_model.build`: a small Llama trained on played demonstrations.

build            the phases of the training, and the command
demonstrators    careful and careless agents that play tasks
dialogues        played tasks as token ids
rewording        user messages in other words
recitations      exercises in looking up and copying
offers           exercises in reading tool documents
tokenizer        byte-level BPE
attention        causal attention for training on a CPU, with heads that start as induction heads
scores           success and mistakes of the finished model
card             the README of the model's folder
"""
