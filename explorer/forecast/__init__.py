"""What a study will take, told before anything starts: `explorer run --plan`. Nothing is made, and nothing written.

space, board ──► what is possible and untried ──► stages ──► how many of each the trials will need ┐
records of this study, of others like it ──► durations: seconds of each, and how that is known ────┴──► hours
"""

from explorer.forecast.forecast import Forecast, forecast
from explorer.forecast.page import as_json, page

__all__ = ["Forecast", "as_json", "forecast", "page"]
