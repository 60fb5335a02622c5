"""Who may come in, and as whom: codes, cookies, API keys, and what Streamlit's own protocol may be used for."""
