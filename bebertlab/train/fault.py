"""A training that went wrong."""

from __future__ import annotations

from bebertlab.errors import EXIT_TRIALS_FAILED, UserError


class TrainingFault(UserError):
    """The numbers of a training are no numbers any more; names the stage, the phase and the step."""

    exit_code = EXIT_TRIALS_FAILED
