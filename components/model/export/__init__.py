"""A checkpoint in the forms that other engines read."""
