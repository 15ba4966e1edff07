"""What is measured in an update or a validation, and where a person sees it."""
