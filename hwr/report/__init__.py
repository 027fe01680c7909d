"""Pages for people: what predictions are worth (`recognition`, `page`) and what an ingest made (`overview`)."""
