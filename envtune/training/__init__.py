"""Lightning's side: the module that updates the policy, the data module that plays episodes, and what a person sees."""
