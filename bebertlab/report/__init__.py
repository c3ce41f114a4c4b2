"""The answer: tables, intervals and plots of a study, from its record and its trials alone.

`write_report` writes the files, `summary_table` gives the text for the terminal.
"""

from bebertlab.report.text import summary_table
from bebertlab.report.write import write_report

__all__ = ["summary_table", "write_report"]
