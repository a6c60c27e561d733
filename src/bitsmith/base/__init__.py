"""Base of all rooms, which knows nothing of models: files, project folders and their seals, progress, dumps."""
