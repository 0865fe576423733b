"""How a study is called, how its candidates are chosen, and when it stops."""

from __future__ import annotations

from explorer.config.document import Document
from explorer.config.experiment import SearchPlan
from explorer.config.sections import SearchSection, StudyName, seconds_of
from explorer.config.shape import section_of, shaped_as
from explorer.errors import BadInput
from explorer.search import check_sampler

TRIALS = 100  # when the file sets no limit
LEARNING = ("auto", "front")  # samplers that learn from other studies


def read_study(document: Document) -> str:
    """The study's name; the file's where it gives none."""
    given = document.data.get("study")
    if given is None:
        return document.file.stem
    return str(shaped_as(StudyName, document, ("study",), given))


def read_search(document: Document) -> SearchPlan:
    """The plan of the search; where it cannot be read, a stand-in."""
    section = section_of(document, "search", SearchSection)
    try:
        check_sampler(section.sampler)
    except BadInput as error:
        document.adopt(error, ("search", "sampler"))
    if section.hours is not None and section.timeout is not None:
        document.complain("hours and timeout say the same thing", ("search", "timeout"), hint="keep one of the two")
    seconds = section.hours * 3600 if section.hours is not None else None
    if section.timeout is not None:
        seconds = seconds_of(section.timeout)
    trials = TRIALS if section.trials is None and seconds is None else section.trials
    stop_below = _stop_below(section.stop_below)
    _check_learning(document, section)
    learn_from, race_s = tuple(section.learn_from), _race_s(section.race)
    prior, ladder = section.prior == "auto", section.ladder == "auto"
    return SearchPlan(section.sampler, trials, seconds, section.seed, stop_below, race_s, learn_from, prior, ladder)


def _check_learning(document: Document, section: SearchSection) -> None:
    if section.learn_from and section.sampler not in LEARNING:
        what, hint = f"{section.sampler} learns from no other study", "take one of these, or leave learn_from out"
        document.complain(what, ("search", "learn_from"), allowed=", ".join(LEARNING), hint=hint)
    for place, named in enumerate(section.learn_from):
        if named in section.learn_from[:place]:
            document.complain("a study is here twice", ("search", "learn_from", place), seen=named)


def _stop_below(told: float | str) -> float | None:
    """The bound on what is left to gain; None leaves it to the study, 0 is none."""
    return told if isinstance(told, float) else {"auto": None, "off": 0.0}[told]


def _race_s(text: str) -> float | None:
    """Seconds of a race; None leaves it to the study."""
    return None if text == "auto" else 0.0 if text == "off" else seconds_of(text)
