"""Published figures, as printed; no other module holds one.

Tables 1 to 6 of Tai et al. 2019 with the columns that the paper cites, and later methods on the same test
sets. In % of the distance of the outer eye corners unless stated otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on images; None for a figure that was not published.

    Args:
        nrmse: mean over the faces, %.
        auc: area under the cumulative error curve up to 8 %, %.
        failure: share of faces above 8 %, %.
    """

    nrmse: float
    auc: float | None = None
    failure: float | None = None


@dataclass(frozen=True)
class Scale:
    """A fifth of the faces by size: mean inter-ocular distance and RMSE of two decoders, px."""

    interocular: float
    chr: float
    fhr: float


@dataclass(frozen=True)
class Steadiness:
    """Error and stability on videos, %."""

    nrmse: float
    stability: float


CHR, FHR, FHR_STA = "CHR (2016)", "FHR", "FHR+STA"

SPIGA = "SPIGA (2022)"

PAPER = "Tai et al., Towards Highly Accurate and Stable Face Alignment for High-Resolution Videos, AAAI 2019"

TRAINING_FACES = 3148
"""Training faces of the paper: LFPW, HELEN and AFW. Source: Experimental Setup."""

PRIVATE_FACES = 600
"""Size of the 300-W private test. Source: Experimental Setup."""

HELEN_FACES = 330
"""Size of HELEN test, part of 300-W's common test; the paper does not report it alone."""

TALKING_FACE_FRAMES = 5000
"""Length of the Talking Face video. Source: Experimental Setup."""

PRIVATE_TEST: dict[str, Accuracy] = {
    "SDM (2013)": Accuracy(5.83, 36.3, 13.0),
    "CFAN (2014)": Accuracy(5.78, 34.8, 14.0),
    "CFSS (2015)": Accuracy(5.74, 36.6, 12.3),
    "MDM (2016)": Accuracy(5.05, 45.3, 6.80),
    "DAN (2017)": Accuracy(4.30, 47.0, 2.67),
    "GAN (2017)": Accuracy(3.96, 53.6, 2.50),
    CHR: Accuracy(4.07, 50.9, 2.33),
    FHR: Accuracy(3.80, 55.9, 1.33),
}
"""300-W private test. Source: Table 1."""

PRIVATE_TEST_LATER: dict[str, Accuracy] = {
    "HRNet-W18": Accuracy(3.85),
    SPIGA: Accuracy(3.43, 57.2, 0.67),
}
"""300-W private test, by later methods.

Source: HRNet-W18 as later tables cite it; SPIGA as our metrics find it in the predictions that its authors
published.
"""

HELEN_TEST_LATER: dict[str, Accuracy] = {SPIGA: Accuracy(2.519)}
"""HELEN test alone. Source: our metrics on the predictions that SPIGA's authors published."""

FACE_SCALES: dict[str, Scale] = {
    "very small": Scale(61.45, 2.66, 2.42),
    "small": Scale(91.50, 3.71, 3.35),
    "medium": Scale(127.68, 5.06, 4.55),
    "large": Scale(179.55, 7.59, 7.11),
    "very large": Scale(296.28, 11.67, 10.67),
}
"""300-W private test. Source: Table 2."""

VIDEOS_68: dict[str, tuple[Steadiness, Steadiness, Steadiness]] = {
    FHR: (Steadiness(5.07, 2.79), Steadiness(4.34, 1.85), Steadiness(7.36, 4.48)),
    FHR_STA: (Steadiness(4.42, 1.67), Steadiness(4.18, 1.15), Steadiness(5.98, 2.74)),
    "FHR+STA, λ2=0": (Steadiness(5.55, 1.64), Steadiness(4.74, 1.16), Steadiness(7.58, 2.57)),
    "FHR+STA, λ3=∞": (Steadiness(4.40, 1.78), Steadiness(4.16, 1.19), Steadiness(5.96, 2.86)),
    "FHR+STA, λ2=0, λ3=∞": (Steadiness(4.49, 1.68), Steadiness(4.33, 1.17), Steadiness(6.74, 2.76)),
}
"""300-VW test, 68 points, scenarios 1 to 3. Source: Table 3."""

ABLATIONS = tuple(VIDEOS_68)[2:]
"""Rows of Table 3 with a stabiliser fitted by another loss."""

VIDEOS_7: dict[str, tuple[Steadiness, Steadiness, Steadiness]] = {
    "REDnet (2016)": (Steadiness(8.03, 10.3), Steadiness(10.1, 9.64), Steadiness(16.5, 15.9)),
    FHR: (Steadiness(4.44, 5.49), Steadiness(3.96, 3.55), Steadiness(5.45, 4.72)),
    FHR_STA: (Steadiness(3.93, 3.04), Steadiness(3.82, 3.44), Steadiness(4.91, 4.45)),
}
"""300-VW test, 7 points, scenarios 1 to 3. Source: Table 4."""

TALKING_FACE: dict[str, float] = {
    "CFAN (2014)": 3.52,
    "CFSS (2015)": 2.36,
    "IFA (2014)": 3.45,
    "REDnet (2016)": 3.32,
    "TSTN (2017)": 2.13,
    CHR: 2.28,
    FHR: 2.06,
    FHR_STA: 2.14,
}
"""NRMSE on Talking Face, 7 points. Source: Table 5."""

VIDEOS_68_NRMSE: dict[str, tuple[float, float, float]] = {
    "TSCN (2016)": (12.5, 7.25, 13.10),
    "CFSS (2015)": (7.68, 6.42, 13.70),
    "TCDCN (2016)": (7.66, 6.77, 15.00),
    "TSTN (2017)": (5.36, 4.51, 12.80),
    CHR: (5.44, 4.71, 7.92),
    FHR: (5.07, 4.34, 7.36),
    FHR_STA: (4.42, 4.18, 5.98),
}
"""NRMSE on 300-VW test, 68 points, scenarios 1 to 3. Source: Table 6."""
