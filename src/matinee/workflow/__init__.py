"""Load, split, fit, evaluate, recommend: the five steps from a log to a list, for notebooks and commands."""

from matinee.workflow.advice_check import AdviceCheck, check_advice
from matinee.workflow.advising import Advice, advise
from matinee.workflow.data import audit, events, graph, graph_of, items, keep, load, split, whole
from matinee.workflow.evaluating import compare, evaluate, quality
from matinee.workflow.experiments import OnStep, features_of, noted, prepare, read, run, values_of
from matinee.workflow.fitting import fit, predicted_values
from matinee.workflow.movie_lists import (
    Change,
    Movie,
    MovieList,
    counterfactual,
    recommend,
    recommend_all,
    similar,
    similar_all,
)
from matinee.workflow.replaying import Replay, replay
from matinee.workflow.synthesizing import compare_logs, population_of, synthesize
from matinee.workflow.tuning import TuningResult, fit_auto, short_search, tune, tune_experiment

__all__ = [
    "Advice",
    "AdviceCheck",
    "Change",
    "Movie",
    "MovieList",
    "OnStep",
    "Replay",
    "TuningResult",
    "advise",
    "audit",
    "check_advice",
    "compare",
    "compare_logs",
    "counterfactual",
    "evaluate",
    "events",
    "features_of",
    "fit",
    "fit_auto",
    "graph",
    "graph_of",
    "items",
    "keep",
    "load",
    "noted",
    "population_of",
    "predicted_values",
    "prepare",
    "quality",
    "read",
    "recommend",
    "recommend_all",
    "replay",
    "run",
    "short_search",
    "similar",
    "similar_all",
    "split",
    "synthesize",
    "tune",
    "tune_experiment",
    "values_of",
    "whole",
]
