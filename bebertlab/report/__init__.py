"""Reports: tables, intervals, answers and plots of a study, from its record and its trials alone.

`write_report` writes the files, `update_report` only where they would change; `summary_table` gives the text for the
terminal, and `written_summary` that of a report on disk.
"""

from bebertlab.report.plots_curves import stored_curves
from bebertlab.report.write import summary_table, update_report, write_report, written_summary

__all__ = ["stored_curves", "summary_table", "update_report", "write_report", "written_summary"]
