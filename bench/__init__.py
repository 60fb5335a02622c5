"""Side-by-side measurements: this application, the plain loop of the tutorials, and any OpenAI-compatible server."""
