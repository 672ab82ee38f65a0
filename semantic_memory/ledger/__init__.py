"""The truth: facts, evidence, vectors, receipts and generations in SQL."""
