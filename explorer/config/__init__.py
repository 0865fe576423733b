"""Space files: YAML in, a checked and frozen `Experiment` out; every problem at once, with its line.

lookup ──► document ──► reader ──► Experiment
           YAML with      │ references       model, dataset, files
           its lines      │ space_section    axes, rules
                          │ wishes           objectives, constraints
                          └ sections         the rest, by pydantic
"""

from __future__ import annotations

from explorer.config.command_line import override
from explorer.config.experiment import (
    DatasetRef,
    Experiment,
    FinetunePlan,
    MeasurePlan,
    ModelRef,
    SearchPlan,
    differences,
)
from explorer.config.lookup import find, spaces
from explorer.config.reader import load, load_table
from explorer.config.schema import json_schema

__all__ = [
    "DatasetRef",
    "Experiment",
    "FinetunePlan",
    "MeasurePlan",
    "ModelRef",
    "SearchPlan",
    "differences",
    "find",
    "json_schema",
    "load",
    "load_table",
    "override",
    "spaces",
]
