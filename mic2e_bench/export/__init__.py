"""Settings as ready code: a snippet that runs by itself, YAML, JSON, and the inference service's fields."""
