"""Benchmarks. Each program prints its figures as JSON (`neighbours`: a table) and explains its options with `--help`.

    python -m tools.bench.environment   # ground-truth episodes against BFCL's executor and checker; memory growth
    python -m tools.bench.gpu           # the update on random models with the shapes of Qwen2.5: seconds, MFU, memory
    python -m tools.bench.growth        # scaling exponents of rollout and update over turns, group size, prompt length
    python -m tools.bench.loop          # a default training run: time to the first update, updates, resident memory
    python -m tools.bench.loop --peer trl   # updates against TRL on equal work (package `peer`)
    python -m tools.bench.neighbours    # a short run alone and beside busy programs, per OpenMP wait policy
    python -m tools.bench.projection    # log-probs and entropies in chunks against whole logits
    python -m tools.bench.rollout       # rollouts against `model.generate` for every step
    python -m tools.bench.update        # padded rows, packed rows and shared prompts

Modules that the programs import: `measuring` (options, rounds, clocks, memory, JSON), `random_update` (updates of
random models on random ids, and their floating-point operations), `fixed_length` (a generator whose completions all
have the maximal length).
"""
