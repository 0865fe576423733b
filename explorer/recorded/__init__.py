"""Tables that were measured before, taken for a device: each row is what one candidate yielded.

table      a file's columns, each cell with the line it stands in
recording  candidate → its row or rows → what was measured
"""

from explorer.recorded.recording import Recording, Row
from explorer.recorded.table import SUFFIXES, Table, read_table

__all__ = ["SUFFIXES", "Recording", "Row", "Table", "read_table"]
