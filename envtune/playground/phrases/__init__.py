"""What users ask for, in the words of each split, by tool class. Storylines tell what follows from it."""
