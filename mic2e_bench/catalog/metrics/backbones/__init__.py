"""The networks that perceptual metrics compare pictures by."""
