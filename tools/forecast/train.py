#!/usr/bin/python3
"""Trains XGBoost on the first half of the seeds that collect.lua has run, judges it on the second half, and prints
docs/prediction.md's table:   train.py FOLDER

The folder has one KIND.csv for each kind of program. Writes FOLDER/trees.lua, the judged model as a Lua table, and
what the model says of known input: FOLDER/check.csv, of rows of features, and FOLDER/run.csv, of the end of a run.
"""

import collections
import csv
import glob
import json
import os
import sys
import time

import numpy as np
import xgboost

FAULTS = ("inversion", "pool", "channels")
LAST_TRAINED_SEED = 60
SEEDS_FIGURES = ("density", "cancelled", "round_trip", "round_trip_sd")  # without a delay of memory reclaim
PERIOD = 0.1  # seconds between two samples
WINDOWS = (10, 50)  # samples: 1 and 5 seconds
HORIZON = 3.0  # seconds before a deadlock that the model is to know
LATEST = 0.5  # seconds: a later alarm is of no use
EARLIEST = 10.0  # seconds: an earlier alarm is a false one
FALSE_ALARMS = 6.0  # an hour, at most, where the threshold is chosen
SEPARATE = 10.0  # seconds: alarms that are closer count as one
TREES = 60
CHECKED = 2000  # rows of check.csv
RUN_SAMPLES = 80  # rows of run.csv

Run = collections.namedtuple("Run", "kind seed deadlock order forecast times figures")
# The rows of one run that precede its deadlock: `of` says where they are in the matrix.
Part = collections.namedtuple("Part", "run of times")
Verdict = collections.namedtuple("Verdict", "caught total an_hour lead")


def read_runs(folder):
    """Returns the names of the figures, and the runs."""
    runs, names = {}, None
    for path in sorted(glob.glob(os.path.join(folder, "*.csv"))):
        with open(path, newline="") as file:
            lines = csv.reader(file)
            header = next(lines)
            if header[:6] != ["kind", "seed", "deadlock", "order", "forecast", "time"]:
                continue
            names = header[6:]
            for line in lines:
                key = (line[0], int(line[1]), *(float(moment) for moment in line[2:5]))
                runs.setdefault(key, []).append([float(value) for value in line[5:]])
    made = []
    for key, rows in runs.items():
        rows = np.array(rows)
        made.append(Run(*key, rows[:, 0], rows[:, 1:]))
    return names, made


def features(figures):
    """Each figure, and its change and its mean over each window. Before the first sample all was as in it."""
    out = [figures]
    for window in WINDOWS:
        padded = np.vstack([np.repeat(figures[:1], window, 0), figures])
        out.append(figures - padded[: len(figures)])
        sums = np.cumsum(np.vstack([np.zeros((1, figures.shape[1])), padded]), 0)
        out.append(((sums[window:] - sums[:-window]) / window)[1 : len(figures) + 1])
    return np.hstack(out)


def matrix(runs, columns):
    """Returns the features of all rows, whether a deadlock follows within the horizon, and the parts."""
    rows, answers, parts, at = [], [], [], 0
    for run in runs:
        keep = run.times < run.deadlock if run.deadlock > 0 else np.ones(len(run.times), bool)
        times = run.times[keep]
        rows.append(features(run.figures[:, columns])[keep])
        near = times >= run.deadlock - HORIZON if run.deadlock > 0 else np.zeros(len(times), bool)
        answers.append(near.astype(int))
        parts.append(Part(run, slice(at, at + len(times)), times))
        at += len(times)
    return np.vstack(rows).astype(np.float32), np.concatenate(answers), parts


def count_separate(times):
    count, last = 0, -np.inf
    for moment in times:
        if moment - last > SEPARATE:
            count, last = count + 1, moment
    return count


def judge(scores, parts, threshold):
    """What alarms at this threshold are worth."""
    caught, total, leads = collections.Counter(), collections.Counter(), []
    false, hours = 0, 0.0
    for run, of, times in parts:
        alarms = times[scores[of] >= threshold]
        if run.deadlock > 0:
            total[run.kind] += 1
            late = run.deadlock - EARLIEST
            false += bool((alarms <= late).any())
            hours += max(0.0, times[-1] - EARLIEST) / 3600
            good = alarms[alarms > late]
            if len(good) and run.deadlock - good[0] >= LATEST:
                caught[run.kind] += 1
                leads.append(run.deadlock - good[0])
        else:
            false += count_separate(alarms)
            hours += times[-1] / 3600
    return Verdict(caught, total, false / hours, np.median(leads) if leads else None)


def choose(scores, parts):
    """Returns the threshold that catches most at the allowed rate of false alarms."""
    best, chosen = 0, np.inf
    shares = np.concatenate([np.linspace(0.5, 0.99, 30), 1 - np.logspace(-2, -5, 30)])
    for threshold in np.unique(np.quantile(scores, shares)):
        verdict = judge(scores, parts, threshold)
        if verdict.an_hour <= FALSE_ALARMS and sum(verdict.caught.values()) > best:
            best, chosen = sum(verdict.caught.values()), threshold
    return chosen


def fit(rows, answers):
    weight = (len(answers) - answers.sum()) / max(1, answers.sum())
    model = xgboost.XGBClassifier(
        n_estimators=TREES, max_depth=4, learning_rate=0.15, n_jobs=2, tree_method="hist", base_score=0.5,
        scale_pos_weight=weight, verbosity=0, random_state=1)
    return model.fit(rows, answers)


def area(answers, scores):
    """The probability that a row before a deadlock has a higher score than another row."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.bincount(inverse, ranks) / counts)[inverse]
    positive = answers.sum()
    return (ranks[answers == 1].sum() - positive * (positive + 1) / 2) / (positive * (len(answers) - positive))


def row(name, verdict, kinds=FAULTS):
    cells = ["%d/%d" % (verdict.caught[kind], verdict.total[kind]) if kind in kinds else "" for kind in FAULTS]
    lead = "" if verdict.lead is None else "%.1f s" % verdict.lead
    print("| %s | %s | %.1f/h | %s |" % (name, " | ".join(cells), verdict.an_hour, lead), flush=True)


def print_warnings(runs):
    """What co.order and co.forecast have said, which learn nothing: whether they warned before the deadlock."""
    print("\n| warned before the deadlock, median lead | %s | no deadlock in 70 s | no fault |" % " | ".join(FAULTS))
    print("|" + " --- |" * 6)
    for watcher in ("order", "forecast"):
        cells = []
        for kind in FAULTS:
            struck = [run for run in runs if run.kind == kind and run.deadlock > 0]
            moments = [(getattr(run, watcher), run.deadlock) for run in struck]
            leads = [deadlock - moment for moment, deadlock in moments if 0 < moment < deadlock]
            lead = ", %.1f s" % np.median(leads) if leads else ""
            cells.append("%d/%d%s" % (len(leads), len(struck), lead))
        spared = [run for run in runs if run.kind in FAULTS and run.deadlock < 0]
        healthy = [run for run in runs if run.kind not in FAULTS]
        for group in (spared, healthy):
            cells.append("%d of %d" % (sum(getattr(run, watcher) > 0 for run in group), len(group)))
        print("| `co.%s` | %s |" % (watcher, " | ".join(cells)))


class Experiment:
    def __init__(self, names, runs):
        self.names = names
        self.trained = [run for run in runs if run.seed <= LAST_TRAINED_SEED]
        self.judged = [run for run in runs if run.seed > LAST_TRAINED_SEED]

    def columns(self, figures):
        return [self.names.index(figure) for figure in figures]

    def model(self, figures, label):
        """Trains on the first half, judges on the second. Returns the model with its rows."""
        columns = self.columns(figures)
        rows, answers, parts = matrix(self.trained, columns)
        model = fit(rows, answers)
        threshold = choose(model.predict_proba(rows)[:, 1], parts)
        rows, answers, parts = matrix(self.judged, columns)
        scores = model.predict_proba(rows)[:, 1]
        row("XGBoost, %s, AUC %.3f" % (label, area(answers, scores)), judge(scores, parts, threshold))
        return model, rows

    def held_out(self, kind):
        """Trains without the kind, and judges on it and the programs without a fault."""
        columns = self.columns(self.names)
        rows, answers, parts = matrix([run for run in self.trained if run.kind != kind], columns)
        model = fit(rows, answers)
        threshold = choose(model.predict_proba(rows)[:, 1], parts)
        rows, answers, parts = matrix(self.second_half(kind), columns)
        scores = model.predict_proba(rows)[:, 1]
        name = "XGBoost that has never seen %s, AUC %.3f" % (kind, area(answers, scores))
        row(name, judge(scores, parts, threshold), (kind,))
        row("the same, threshold chosen in hindsight", judge(scores, parts, choose(scores, parts)), (kind,))

    def second_half(self, kind):
        return [run for run in self.judged if run.kind == kind or run.kind not in FAULTS]

    def threshold(self, figure):
        """One figure alone, without changes and means."""
        rows, _, parts = matrix(self.trained, self.columns([figure]))
        threshold = choose(rows[:, 0], parts)
        name = "`%s` at least %.3g" % (figure, threshold)
        rows, _, parts = matrix(self.judged, self.columns([figure]))
        verdict = judge(rows[:, 0], parts, threshold)
        row("`%s`, no threshold catches any" % figure if threshold == np.inf else name, verdict)

    def best_threshold(self, kind):
        """The figure and the threshold that are best for a kind, both chosen in hindsight."""
        best = None
        for figure in self.names:
            rows, _, parts = matrix(self.second_half(kind), self.columns([figure]))
            threshold = choose(rows[:, 0], parts)
            verdict = judge(rows[:, 0], parts, threshold)
            if best is None or verdict.caught[kind] > best[0].caught[kind]:
                best = verdict, "`%s` at least %.3g, chosen in hindsight" % (figure, threshold)
        verdict, name = best
        row(name if verdict.caught[kind] else "any one figure, chosen in hindsight", verdict, (kind,))


def lua_tree(node):
    """A tree as Lua: a leaf is a number; a node has the place of a feature, from 1, a threshold, and the trees
    for values below it and for others. XGBoost compares in single precision, but prints other digits."""
    if "leaf" in node:
        return repr(float(np.float32(node["leaf"])))
    children = {child["nodeid"]: child for child in node["children"]}
    threshold = repr(float(np.float32(node["split_condition"])))
    below, other = lua_tree(children[node["yes"]]), lua_tree(children[node["no"]])
    return "{%d,%s,%s,%s}" % (int(node["split"][1:]) + 1, threshold, below, other)


def write_rows(path, rows, probabilities):
    with open(path, "w") as file:
        for values, probability in zip(rows, probabilities):
            file.write(",".join("%.17g" % value for value in (*values, probability)) + "\n")


def export(model, rows, run, folder):
    """Writes the trees, rows of features to check them by, and the last figures of a run to check the rest by."""
    trees = [lua_tree(json.loads(text)) for text in model.get_booster().get_dump(dump_format="json")]
    with open(os.path.join(folder, "trees.lua"), "w") as file:
        file.write("-- Made by train.py.\nreturn {\n%s,\n}\n" % ",\n".join(trees))
    chosen = np.random.RandomState(1).choice(len(rows), CHECKED, replace=False)
    write_rows(os.path.join(folder, "check.csv"), rows[chosen], model.predict_proba(rows[chosen])[:, 1])
    figures = run.figures[-RUN_SAMPLES:]
    probabilities = model.predict_proba(features(figures).astype(np.float32))[:, 1]
    write_rows(os.path.join(folder, "run.csv"), figures, probabilities)


def main(folder):
    began = time.time()
    names, runs = read_runs(folder)
    experiment = Experiment(names, runs)
    print("%d runs, %d samples" % (len(runs), sum(len(run.times) for run in runs)))
    print("\n| predictor | %s | false alarms | median lead |" % " | ".join(FAULTS))
    print("|" + " --- |" * 6)
    experiment.model(SEEDS_FIGURES, "the first four figures")
    model, rows = experiment.model(names, "all %d figures" % len(names))
    for kind in FAULTS:
        experiment.held_out(kind)
    for figure in ("live", "idle", "lock_queue", "pool_queue", "queue_1"):
        experiment.threshold(figure)
    for kind in FAULTS:
        experiment.best_threshold(kind)
    print_warnings(experiment.judged)
    export(model, rows, next(run for run in experiment.judged if run.kind == "channels"), folder)
    print("\n%.0f seconds" % (time.time() - began))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("train.py: a folder expected")
    main(sys.argv[1])
