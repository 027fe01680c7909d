"""What people look at: reports (`evaluation`, `page`), overviews of ingests and labellings, `pictures` of trainings."""
