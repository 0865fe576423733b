"""Where the files of a results folder lie."""

from __future__ import annotations

from pathlib import Path

STUDY, TRIALS, RAW, LOCK = "study.json", "trials.jsonl", "raw", ".lock"
BEGUN, BOARDS, RACES, RUNS = "begun.jsonl", "boards.jsonl", "races.jsonl", "runs.jsonl"


def raw_path(folder: Path, number: int) -> Path:
    return folder / RAW / f"{number:04d}.json.gz"


def score_path(folder: Path, number: int) -> Path:
    return folder / RAW / f"{number:04d}.score.json.gz"


def race_path(folder: Path, number: int) -> Path:
    return folder / RAW / f"race-{number:04d}.json.gz"
