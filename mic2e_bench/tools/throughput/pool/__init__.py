"""Several workers, each with a pipeline of its own: on Ray, or simulated; a policy chooses who gets which request."""
