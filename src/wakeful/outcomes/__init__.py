"""Predictions and their outcomes, joined by id: late, twice, contradicting, out of order, and counted exactly once.

Nothing depends on the order in which rows are read. What is kept is a set of rows, and what is known at a moment is
a function of that set:

- A prediction is known by its id and its time. Of several with one id (retries), the first by time counts; among
  those of the same time, the same one whatever the order. The others are told as repeats.
- An outcome is an id, a label and the time at which it was told. The last one told within the horizon counts.
  The same value once more changes nothing; another one is a correction. Two values told at the same time are a
  contradiction, and the greater value counts.
- An outcome may be read before its prediction: it waits.
- What is told later than the horizon after the prediction is late, and not joined.
- What happens after the moment that is asked for (``as_of``) is not known yet, so a wrong clock that runs ahead
  changes nothing before its time has come.
- Times without a zone are UTC.
"""

from wakeful.outcomes.health import AGES, Ahead, Health, Known
from wakeful.outcomes.join import Join, Reading
from wakeful.outcomes.joined import Joined

__all__ = ["AGES", "Ahead", "Health", "Join", "Joined", "Known", "Reading"]
