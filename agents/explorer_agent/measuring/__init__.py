"""Measuring one engine: idle, cool down, warm up, windows, idle again; raw samples only, nothing derived."""
