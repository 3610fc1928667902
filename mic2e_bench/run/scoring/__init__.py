"""Quality, scored from stored images in a step of its own."""
