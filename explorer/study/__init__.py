"""A study: ask → evaluate → store → tell, until the budget is spent; `run` begins or continues one.

study    opens the folder, the data and the boards, and lets the loop run
loop     asks ahead, hands out, hears, stores, tells
order    which of the waiting candidates comes next: power modes change rarely
control  what the reference engine yields, and the scale that follows
rungs    where a candidate that is dominated for sure can be stopped
race     undecided candidates against each other
budget   how much may be tried, how much time is left; why a study ends
"""

from explorer.study.study import Ending, open_dataset, refuse_other, run

__all__ = ["Ending", "open_dataset", "refuse_other", "run"]
