"""Thin front ends over the memory: nothing imports them."""
