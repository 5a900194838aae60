"""A monitor file -> the monitor that it defines."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from wakeful.errors import CheckError, DataError, ReferenceFileError, WakefulError
from wakeful.monitor import Monitor

__all__ = ["load_monitor"]


def load_monitor(path: str | Path) -> Monitor:
    """Run a monitor file and return its one Monitor.

    Raises:
        DataError: there is no such file, or it defines no monitor or several.
        CheckError: the file itself raises; the message says where.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"no monitor file at {path}. Write one with: wakeful init DATA --score COLUMN")
    name = f"wakeful_monitor_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise DataError(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))  # a monitor file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except (CheckError, ReferenceFileError):
        raise
    except SyntaxError as error:
        raise CheckError(f"{path.name}:{error.lineno}: {error.msg}") from error
    except Exception as error:  # whatever the user's file raises is told with its line
        trace, line = error.__traceback__, 0
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(path.resolve()):
                line = trace.tb_lineno
            trace = trace.tb_next
        told = str(error) if isinstance(error, WakefulError) else f"{type(error).__name__}: {error}"
        raise CheckError(f"{path.name}:{line}: {told}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    monitors = {id(value): value for value in vars(module).values() if isinstance(value, Monitor)}
    if len(monitors) != 1:
        raise DataError(f"{path} defines {len(monitors) or 'no'} monitors; it must define one.")
    return next(iter(monitors.values()))
