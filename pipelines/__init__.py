"""The Ray jobs and their command line: ingest, train, label, evaluate, and a demo of all four."""
