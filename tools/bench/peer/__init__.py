"""Updates of envtune against those of another trainer on equal work: `python -m tools.bench.loop --peer trl`.

`comparison` runs each side in a process of its own and compares their reports, `ours` and `trl` are the two sides, and
`work` holds the settings, tasks and prompts that both sides receive and the report that each side prints.
"""
