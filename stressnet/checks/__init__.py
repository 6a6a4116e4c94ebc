"""Questions asked of a record, one file each: pass, fail or inconclusive, with the evidence."""
