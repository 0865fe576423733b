"""A study on disk: append-only, fsynced, and readable at any moment, also while it is being written.

    results/<study>/
        study.json          what is explored and with what; written once
        trials.jsonl        one record a line: the truth
        begun.jsonl         the number and the candidate of every trial that a board was asked for
        boards.jsonl        what the reference engine yielded on a board: when it joined a fleet, and beside each trial
        races.jsonl         one race a line: what undecided candidates yielded, measured against each other
        runs.jsonl          what was known to be impossible as a run began; what a trial has ruled out; why it ended
        raw/0007.json.gz    the raw measurement of trial 7; written before its record
        raw/0007.score.json.gz      the counts behind its scores
        raw/race-0001.json.gz       the raw measurement of race 1; written before its line

A line counts once its newline is on the disk. Whatever follows the last newline is the torn tail of a write that was
killed: readers pass over it, and the next writer cuts it off.
"""

from explorer.store.places import LOCK, RAW, STUDY, TRIALS
from explorer.store.reading import StudyData, newest, read, read_study
from explorer.store.writing import Store, open_store, set_aside

__all__ = [
    "LOCK",
    "RAW",
    "STUDY",
    "TRIALS",
    "Store",
    "StudyData",
    "newest",
    "open_store",
    "read",
    "read_study",
    "set_aside",
]
