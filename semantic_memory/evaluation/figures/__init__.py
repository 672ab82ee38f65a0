"""Figures: functions that take what was found and return a matplotlib figure. Needs the extra `plots`."""
