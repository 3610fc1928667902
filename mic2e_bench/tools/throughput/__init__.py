"""How many images a pipeline serves, alone, in a pool or behind a server, and how long each of them waits."""
