"""Pages that are measured: the application's and a tutorial's, both fed by the same script."""
