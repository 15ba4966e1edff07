"""Training with Lightning: the module that updates the policy, and the data module that plays episodes."""
