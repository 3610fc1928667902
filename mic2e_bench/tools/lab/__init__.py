"""`lab`: JupyterLab on this repository, and what its start page and its widgets show."""
