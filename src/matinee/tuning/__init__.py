"""The search for settings: ranges from the configs, proposals by Optuna, trials that can stop and go on."""

from matinee.tuning.ranges import Range, ranges_of
from matinee.tuning.record import StudyFolder
from matinee.tuning.study import Budget, OnTrial, search
from matinee.tuning.trials import Objective, Trial

__all__ = ["Budget", "Objective", "OnTrial", "Range", "StudyFolder", "Trial", "ranges_of", "search"]
