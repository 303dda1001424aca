"""Verdicts, by rules that are fixed before anything is measured.

A sample has a stratum for each collection: differences of queries, or one value; collections have equal weight. The
p-value of each test is two-sided, and corrected over all claims by Holm's method (`settle`).

helps      supported: the mean is at least the margin, and above 0 with p < .05; refuted: the 95 percent interval is
           below the margin; undecided otherwise
equal      supported: equivalent within the margin (two one-sided tests, p < .05); refuted: the interval is beyond the
           margin; undecided otherwise
above      supported: the interval is above the margin; refuted: it is below; undecided otherwise
below      the same, mirrored
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ragcun.evaluation.compare import compare_queries
from ragcun.evaluation.statistics import Doubles, holm, power_of_t

Rule = Literal["helps", "equal", "above", "below"]
Verdict = Literal["supported", "refuted", "undecided"]
LEVEL = 0.05


@dataclass(frozen=True)
class Found:
    """The measured effect of a claim.

    Attributes:
        mean: mean of the differences, or of the values.
        low, high: 95 percent interval of the mean.
        p_value: two-sided p-value; under the rule "equal", the p-value of equivalence.
        power: probability that this sample detects a difference of the margin; None if unknown.
        needed: number of queries (or collections) for a power of 80 percent; None if unknown.
        sample: number of queries (or collections) in the sample.
    """

    mean: float
    low: float
    high: float
    p_value: float
    power: float | None
    needed: int | None
    sample: int


def of_queries(differences: Sequence[Doubles], rule: Rule, margin: float, seed: int = 0) -> Found:
    """Test the differences of all queries: paired randomisation test and bootstrap interval of `compare_queries`."""
    compared = compare_queries([[one] for one in differences], "nDCG@10", seed, margin=margin)
    p_value = compared.p_equivalent if rule == "equal" else compared.p_value
    queries = sum(len(one) for one in differences)
    return Found(
        compared.difference, compared.low, compared.high, p_value, compared.power, compared.queries_needed, queries
    )


def of_collections(values: Sequence[float], rule: Rule, margin: float) -> Found:
    """Test one value per collection by Student's t."""
    from scipy import stats

    sample = np.array(values, dtype=np.float64)
    count, centre = len(sample), float(sample.mean())
    if count < 2:
        return Found(centre, -math.inf, math.inf, 1.0, None, None, count)
    error = float(sample.std(ddof=1)) / math.sqrt(count)
    reach = float(stats.t.ppf(0.975, count - 1)) * error
    against = 0.0 if rule in {"helps", "equal"} else margin
    if rule == "equal":
        nearest = margin - abs(centre)
        p_value = float(stats.t.sf(nearest / error, count - 1)) if error > 0 else float(nearest <= 0)
    else:
        p_value = 2 * float(stats.t.sf(abs(centre - against) / error, count - 1)) if error > 0 else 0.0
    distance = abs(margin) if rule in {"helps", "equal"} else abs(centre - margin)
    if error == 0:
        return Found(centre, centre, centre, p_value, 1.0, count, count)
    power = power_of_t(distance / error, count - 1)
    normal = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    needed = math.ceil(count * (normal * error / distance) ** 2) if distance > 0 else None
    return Found(centre, centre - reach, centre + reach, p_value, power, needed, count)


def settle(found: Sequence[tuple[Found, Rule, float]]) -> list[tuple[Verdict, float]]:
    """Return the verdict on each claim and its corrected p-value."""
    adjusted = holm([one.p_value for one, _, _ in found])
    return [(_verdict(one, rule, margin, p), p) for (one, rule, margin), p in zip(found, adjusted, strict=True)]


def _verdict(found: Found, rule: Rule, margin: float, p_value: float) -> Verdict:
    supported, refuted = {
        "helps": (found.mean >= margin and found.low > 0, found.high < margin),
        "equal": (abs(found.mean) < margin, found.low > margin or found.high < -margin),
        "above": (found.low > margin, found.high < margin),
        "below": (found.high < margin, found.low > margin),
    }[rule]
    if supported and p_value < LEVEL:
        return "supported"
    return "refuted" if refuted else "undecided"
