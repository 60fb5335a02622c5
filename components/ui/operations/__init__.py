"""The page on which the owner sees how the server is doing."""
