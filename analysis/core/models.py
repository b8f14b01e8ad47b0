"""From what ``--model`` says to the branches of a model.

``--model`` is the file of a model, the name of one that ships, or ``module:function``: a function
of one's own that takes nothing and returns a branch of any encoder
(:func:`rspnet.models.from_module`), as ``my_encoder.py:build`` or ``package.module:build``. The
dashboard takes files alone: a link must not run code.
"""

import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rspnet.models import Branch
from rspnet.weights.checkpoint import load_model, resolve_model


def is_function(model: str | Path) -> bool:
    """Whether a model is given as ``module:function``.

    Example:
        >>> is_function("my_encoder.py:build"), is_function("default")
        (True, False)
    """
    return ":" in str(model) and not Path(model).exists()


def model_title(model: str | Path) -> str:
    """A model's name for a heading.

    Raises:
        ValueError: There is no such model.
    """
    return str(model) if is_function(model) else f"RSPNet: {resolve_model(model).stem}"


def load_branches(model: str | Path = "default") -> tuple[Branch, Branch]:
    """The query and the key branch of a model; one branch twice for an encoder of one's own.

    Raises:
        ValueError: There is no such model or function, it can't be loaded, or the function does
            not return a branch.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "my_encoder.py"
        >>> _ = file.write_text(
        ...     "import torch, rspnet.models\\n"
        ...     "def build():\\n"
        ...     "    network = torch.nn.Conv3d(3, 8, 4, stride=4)\\n"
        ...     "    return rspnet.models.from_module(network, num_frames=8, size=32)\\n"
        ... )
        >>> query, key = load_branches(f"{file}:build")
        >>> query is key, query.heads
        (True, ('features',))
    """
    if not is_function(model):
        return load_model(model, "query"), load_model(model, "key")
    place, _, name = str(model).rpartition(":")
    function = getattr(_imported(place), name, None)
    if not callable(function):
        raise ValueError(f"{place} has no function {name!r}: --model is module:function")
    try:
        branch = function()
    except ValueError:
        raise
    except Exception as error:  # whatever someone else's code does
        raise ValueError(f"{model} fails with {type(error).__name__}: {error}") from error
    if not isinstance(branch, Branch):
        raise ValueError(
            f"{model} returns a {type(branch).__name__}, expected a branch: let it end with "
            "`return rspnet.models.from_module(module, num_frames=..., size=...)`"
        )
    branch.eval()
    return branch, branch


def _imported(place: str) -> ModuleType:
    """A module by its file or its dotted name; what lies beside a file can be imported there."""
    path = Path(place)
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise ValueError(f"there is no file {place}: --model is a model's file or module:function")
    folder = str(path.parent.resolve() if is_file else Path.cwd())
    sys.path.insert(0, folder)
    try:
        if not is_file:
            return import_module(place)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except Exception as error:  # whatever someone else's code does
        raise ValueError(
            f"{place} can't be imported: {type(error).__name__}: {error}. --model is a model's "
            "file, or module:function"
        ) from error
    finally:
        sys.path.remove(folder)
