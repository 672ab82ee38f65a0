"""A query to ranked facts: pure, over one user's facts."""
