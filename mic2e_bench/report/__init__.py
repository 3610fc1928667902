"""Tables, plots, image strips and the page. Reads records; measures nothing; imports no torch."""
