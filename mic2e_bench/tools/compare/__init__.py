"""`compare`: two sets of records, a verdict each."""
