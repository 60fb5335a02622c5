"""HTTP routes beside the page, on the same port and the same model."""
