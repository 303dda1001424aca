"""Whatever ranks a corpus for queries, and the runs that come of it."""
