"""The chat page. Streamlit runs ``page.py`` anew for every interaction; everything else here is imported once."""
