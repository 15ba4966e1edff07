"""The method's training files: BFCL's tasks as rows in verl's format."""
