"""Measuring engines: warm-up, windows, rounds beside others, fixed arrival; raw samples only, nothing derived."""
