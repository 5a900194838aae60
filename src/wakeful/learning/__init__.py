"""Learning a reference: profile the data, infer what is what, choose bins, count."""

from wakeful.learning.infer import Roles
from wakeful.learning.learn import Learnt, learn

__all__ = ["Learnt", "Roles", "learn"]
