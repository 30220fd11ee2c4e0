"""Measurements of the desk: ratios and counts taken in one run, each with its goal."""
