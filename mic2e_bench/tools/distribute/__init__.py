"""`run --executor ray`: builds of a study on several workers and machines, records in one shared folder."""
