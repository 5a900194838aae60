"""A scikit-learn model whose answers are observed: a stand-in that is told from the model by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Literal, Protocol

import numpy as np

__all__ = ["WatchedModel"]

Method = Literal["predict", "predict_proba"]


class Observer(Protocol):
    """Where observations go; never raises."""

    def observe_batch(self, data: object, *, score: Sequence[Any] | None = None) -> None:
        """Take inputs and their answers."""


class WatchedModel:
    """Stands in for a model: hands everything through, and observes what one of its methods answers.

    Pickles, copies and clones are of the model itself: an observer belongs to the service that made it.

    Args:
        model: with scikit-learn's methods.
        method: that is observed, if the model has it.
        observer: told the inputs and the answers; of probabilities, the second class's.
    """

    __slots__ = ("__weakref__", "_method", "_model", "_observer")

    def __init__(self, model: Any, method: Method, observer: Observer) -> None:
        for name, value in ("_model", model), ("_method", method), ("_observer", observer):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        return self._observed(found) if name == self._method else found

    def _observed(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(answer)
        def observed(X: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N803  # as scikit-learn calls it
            answers = answer(X, *args, **kwargs)
            self._observer.observe_batch(X, score=_scores(answers))
            return answers

        return observed

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._model, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._model, name)

    def __dir__(self) -> list[str]:
        return dir(self._model)

    def __repr__(self) -> str:
        return f"<watched {self._model!r}>"

    def __getitem__(self, key: Any) -> Any:
        return self._model[key]  # a step of a pipeline

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (self._model,)

    def __sklearn_clone__(self) -> Any:
        from sklearn.base import clone  # which alone asks for this

        return clone(self._model)

    def __sklearn_is_fitted__(self) -> bool:
        from sklearn.exceptions import NotFittedError  # as above
        from sklearn.utils.validation import check_is_fitted

        try:
            check_is_fitted(self._model)
        except NotFittedError:
            return False
        return True


def _same(model: Any) -> Any:
    return model


def _scores(answers: Any) -> Any:
    """One score per row, shape (rows,); what has none is handed on, and refused there."""
    try:
        found = np.asarray(answers)
        return found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found
    except Exception:  # the answers are the service's, whatever they are
        return answers
