"""The Berkeley Function Calling Leaderboard as an environment: tasks, worlds, limits, hints, audit, files of others."""
