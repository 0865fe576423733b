"""Who is on the front, how sure that is, and whom to measure again: pure functions on records, readings and tallies."""
