"""What a params file can name, with its contracts: pipelines, toggles, metrics, models."""
