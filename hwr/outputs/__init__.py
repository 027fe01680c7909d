"""What ``hwr label`` hands out beside its Parquet files: a CSV, sorted folders, tasks for Label Studio.

Each reads the predictions one file after the other, so that a million of them never are in memory together.
"""
