"""Measure recall: data sets, metrics and reports."""
