"""The application, from the model up to the page. Imports go one way: ui, api, engine, model, checkpoints, settings."""
