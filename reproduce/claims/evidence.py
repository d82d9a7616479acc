"""The numbers behind each claim, asked of the tables of one record and domain."""

import numpy as np
from reproduce.judgements import Judgement

from reproduce import convnet_judgements, judgements, selection, style

_NO_NEURONS = Judgement(judgements.INCONCLUSIVE, "no neurons")


class Evidence:
    """Tables of one task, record and domain, asked for the numbers behind each claim.

    Args:
        losses: Frame of `tables.read_losses`.
        regret: Frame of `tables.read_regret`.
        exponents: Frame of `tables.read_exponents`.
        record: Name of the record.
        ball: Whether optima were taken over the ball of Theorem 2.
    """

    def __init__(self, losses, regret, exponents, record, ball):
        self._record, self._ball = record, ball
        self._best = selection.best_sgd(losses)
        self._labels = selection.compared(losses)
        self._finished = selection.final_losses(losses)
        self._all = losses, regret, exponents
        self._regret, self._exponents = (self._of_domain(table) for table in (regret, exponents))

    def other_layers(self, layer):
        """Names of the layers beside one."""
        return [other for other in selection.layers(self._regret, self._record) if other != layer]

    def growth(self, scopes):
        """Claims 3 and 4, for each optimizer in each scope."""
        if not scopes:
            return Judgement(judgements.INCONCLUSIVE, "no results")
        parts, words = [], []
        for scope in scopes:
            each = {label: self._one(scope, label) for label in self._labels}
            parts += each.values()
            numbers = ", ".join(f"{label} {part.measured}" for label, part in each.items())
            words.append(f"{scope}: {numbers}")
        lacking = [
            name
            for name in ("RMSProp", "Adam", "SGD")
            if not any(label.startswith(name) for label in self._labels)
        ]
        if lacking:
            words.append(f"no run of {', '.join(lacking)}")
            parts.append(Judgement(judgements.INCONCLUSIVE, words[-1]))
        return Judgement(judgements.all_of(parts), f"exponent in {'; '.join(words)}")

    def growth_and_variation(self, layer):
        """Claims 3 and 12: growth in a layer, and that SGD varies most."""
        growth, variations = self.growth([layer]), {}
        for label in self._labels:
            if label in self._finished:
                rows = self._rows(self._regret, layer, label)
                each = [convnet_judgements.variation(run) for _, run in rows.groupby("run")]
                variations[label] = float(np.mean(each)) if each else np.nan
        uneven = convnet_judgements.sgd_varies_most(variations)
        verdict = judgements.all_of([growth, uneven])
        return Judgement(verdict, f"{growth.measured}; {uneven.measured}")

    def losses_and_gaps(self, layer):
        """Claim 5, in the layer of Figure 4(c), at the last round that all have."""
        table = selection.rows(self._regret, self._record, layer, self._ball)
        shown = [label for label in self._labels if label in self._finished]
        table = table[table["optimizer"].isin(shown)].dropna(subset=["regret"])
        if table.empty:
            return Judgement(judgements.INCONCLUSIVE, f"no results for {layer}")
        last = table.groupby("run")["round"].max().min()
        at_last = table[table["round"] == last]
        final = at_last.groupby("optimizer")[["cumulative_loss", "regret"]].mean()
        result = judgements.lower_loss_and_gap(final, self._best)
        where = f"{layer} at epoch {at_last['epoch'].mean():g}, N = {last:g}"
        return Judgement(result.verdict, f"{where}: {result.measured}")

    def with_neurons(self):
        """Labels of the optimizers whose neurons were solved, RMSProp first."""
        neurons = selection.neurons(self._regret, self._record)
        return style.in_order(self._regret[self._regret["scope"].isin(neurons)]["optimizer"])

    def neuron_growth(self, label, layers):
        """Claim 1, in each layer: the mean over neurons, and the neurons one by one."""
        return self._in_layers(label, layers, self._layer_growth)

    def neuron_bounds(self, label, layers):
        """Claim 2, in each layer that Figure 3 shows the losses of, and in the others."""
        return self._in_layers(
            label, layers, lambda rows, _: convnet_judgements.bounded_losses(rows)
        )

    def every_scale(self):
        """Claim 11, at each of the three scales of Theorem 2.

        A scale that was not solved in this domain is judged in the other one, and says so.
        """
        parts, words = [], []
        for scale, scopes in selection.scales(self._all[1], self._record).items():
            here = self._regret["scope"].isin(scopes).any()
            judged = self if here or not scopes else self._elsewhere()
            verdict, text = judged._scale(scale, scopes)
            domain = "" if judged is self else f" ({'inside the' if judged._ball else 'no'} ball)"
            parts.append(Judgement(verdict, ""))
            words.append(f"{scale}{domain}: {text}")
        return Judgement(judgements.all_of(parts), "; ".join(words))

    def _elsewhere(self):
        """The evidence of the same record in the other domain."""
        return Evidence(*self._all, self._record, not self._ball)

    def _scale(self, scale, scopes):
        """Verdict and text of claim 11 at one scale."""
        solved = self._regret.groupby("scope")["optimizer"].unique()
        judged = [
            self._one(scope, label)
            for scope in scopes
            for label in style.in_order(solved.get(scope, []))
            if label in self._labels
        ]
        if not judged:
            return judgements.INCONCLUSIVE, "not measured"
        # The theorem speaks of every neuron, the paper of a sample of them.
        if scale == "neuron":
            verdict = convnet_judgements.share([each.verdict for each in judged])
        else:
            verdict = judgements.all_of(judged)
        return verdict, self._count(scopes, judged)

    def _in_layers(self, label, layers, judge):
        """Joins the judgements of the neurons of each layer."""
        if label not in self._finished:  # the regret of its last rounds means nothing
            return Judgement(judgements.INCONCLUSIVE, f"{label} diverged")
        parts, words = [], []
        for layer in layers:
            neurons = selection.neurons(self._regret, self._record, layer)
            rows = self._rows(self._regret, neurons, label)
            part = judge(rows, label) if len(rows) else _NO_NEURONS
            parts.append(part)
            words.append(f"{layer}: {part.measured}")
        return Judgement(judgements.all_of(parts), f"{label}, {'; '.join(words)}")

    def _layer_growth(self, rows, label):
        average = convnet_judgements.average_growth(rows)
        scopes = list(rows["scope"].unique())
        each = [self._one(scope, label) for scope in scopes]
        most = convnet_judgements.share([one.verdict for one in each])
        fitted = self._rows(self._exponents, scopes, label).dropna(subset=["exponent"])
        contain = ((fitted["low"] <= 0.5) & (fitted["high"] >= 0.5)).sum()
        near = fitted["exponent"].between(*judgements.SQRT_EXPONENT).sum()
        good = sum(one.verdict == judgements.REPRODUCED for one in each)
        text = (
            f"exponent of the average {average.measured}, {good} of {len(each)} neurons like "
            f"sqrt(N) (interval contains 0.5: {contain}, exponent in "
            f"{list(judgements.SQRT_EXPONENT)}: {near})"
        )
        parts = [average, Judgement(most, "")]
        return Judgement(judgements.all_of(parts), text)

    def _rows(self, table, scope, label):
        return selection.rows(table[table["optimizer"] == label], self._record, scope, self._ball)

    def _of_domain(self, table):
        return table[
            (table["record"] == self._record) & (np.isfinite(table["radius"]) == self._ball)
        ]

    def _one(self, scope, label):
        if label not in self._finished:  # the regret of its last rounds means nothing
            return Judgement(judgements.INCONCLUSIVE, "diverged")
        return judgements.square_root_growth(
            *(self._rows(table, scope, label) for table in (self._regret, self._exponents))
        )

    def _count(self, scopes, judged):
        """How many scopes and optimizers fall like 1/sqrt(N), and what the others do."""
        good = sum(each.verdict == judgements.REPRODUCED for each in judged)
        negative = sum(each.measured.startswith("regret negative") for each in judged)
        fitted = self._exponents[
            self._exponents["scope"].isin(scopes) & self._exponents["optimizer"].isin(self._labels)
        ]
        median = fitted["exponent"].median() - 1
        text = f"{good} of {len(judged)} fall like 1/sqrt(N)"
        text += f" (median exponent of regret/N {median:.2f})" if np.isfinite(median) else ""
        # The theorem bounds regret from above only: negative regret breaks no bound.
        return text + (f", {negative} negative, as the one-sided bound allows" if negative else "")
