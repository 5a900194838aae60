"""Predictions and outcomes as Parquet, under a directory or in a bucket."""
