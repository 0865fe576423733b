"""What ``serve --simulate`` reads on its command line."""

from __future__ import annotations

import pytest

from explorer_agent.messages import AgentError
from explorer_agent.virtual.command import faults


def test_faults_are_names_and_json() -> None:
    words = ["fan=0.3", 'dead_rails=["VDD_IN"]', "over_current_s=[[1, 0.5]]"]
    assert faults(words) == {"fan": 0.3, "dead_rails": ["VDD_IN"], "over_current_s": [[1, 0.5]]}
    assert faults([]) == {}


@pytest.mark.parametrize("word", ["fan", "fan=", "fan=hot", "=", ""])
def test_what_is_neither_is_refused(word: str) -> None:
    with pytest.raises(AgentError, match="a fault is NAME=JSON"):
        faults([word])
