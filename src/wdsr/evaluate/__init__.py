"""Scores of models on pictures whose HR is known, by a protocol that has a name.

    from wdsr.evaluate import bicubic, evaluate
    for row in evaluate(Path("Set5"), 4, bicubic):
        print(row.name, row.psnr)

`protocols` says what is scored, `pairing` reads HR and LR and refuses what does not fit,
`scores` makes rows; `origin` tells which resizer made an LR, `published` what papers
report, `report` writes files; `check` proves all that on pictures with known answers.
`compare` draws, with matplotlib; `perceptual` needs torch. Neither is loaded here.
"""

from wdsr.evaluate.pairing import Pair, pairs
from wdsr.evaluate.protocols import ANCESTOR, CLASSICAL, NTIRE, PROTOCOLS, Protocol
from wdsr.evaluate.scores import Method, Row, bicubic, evaluate, lanczos, mean, model, score

__all__ = [
    "ANCESTOR",
    "CLASSICAL",
    "NTIRE",
    "PROTOCOLS",
    "Method",
    "Pair",
    "Protocol",
    "Row",
    "bicubic",
    "evaluate",
    "lanczos",
    "mean",
    "model",
    "pairs",
    "score",
]
