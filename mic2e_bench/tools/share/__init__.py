"""`share`: records for other programs, as a Parquet file and as runs of MLflow."""
