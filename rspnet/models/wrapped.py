"""Any module that turns clips into features, as a branch: :func:`from_module`.

Such a branch has one head in place of RSP and A-VID: ``features``, the mean of the features over
all cells, or ``projection``, what a projection makes of that mean. Whatever needs no RSP head
explains it as it explains RSPNet.
"""

import copy
import difflib
import hashlib
import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rspnet.models.branch import IMAGENET_MEAN, IMAGENET_STD, Branch, evaluation_mode
from rspnet.models.geometry import CellGeometry
from rspnet.models.heads import global_average_pool
from rspnet.names import check_whole

Layout = Literal["BCTHW", "BTCHW"]
Grid = tuple[int, int, int]
FEATURES, PROJECTION = "features", "projection"


class _ReachedError(Exception):
    """Ends a forward pass at the layer whose output is wanted."""


class ModuleEncoder(nn.Module):
    """A module with its output, or that of one of its layers, as features (B, C, T', H', W').

    The arguments are those of :func:`from_module`.

    Raises:
        ValueError: There is no such layer, an argument is out of range, or, when clips are sent
            through, the features have another shape than was said.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        features: str | None = None,
        tokens: Sequence[int] | None = None,
        num_prefix_tokens: int = 0,
        layout: Layout = "BCTHW",
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise ValueError(f"module is a torch.nn.Module, got {reprlib.repr(module)}")
        if layout not in ("BCTHW", "BTCHW"):
            raise ValueError(f"layout is 'BCTHW' or 'BTCHW', got {layout!r}")
        self.module, self.layer, self.layout = module, features, layout
        self.num_prefix_tokens = check_whole("num_prefix_tokens", num_prefix_tokens, 10**6, least=0)
        self.tokens: Grid | None = None
        if tokens is not None:
            try:
                t, h, w = (check_whole("tokens", n, 10**6) for n in tokens)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    "tokens are the cells along time, height and width, three positive whole "
                    f"numbers (T', H', W'), got {tokens!r}"
                ) from error
            self.tokens = t, h, w
        if features is not None:
            self._find(features)

    def _find(self, layer: str) -> nn.Module:
        layers: dict[str, nn.Module] = dict(self.module.named_modules())
        if layer not in layers or not layer:
            near = difflib.get_close_matches(layer, layers, n=3) or list(self.module._modules)[:8]
            raise ValueError(
                f"features is the name of a layer as in named_modules(), got {layer!r}; "
                f"such as {', '.join(near) or 'none: this module has no layers'}"
            )
        return layers[layer]

    def _output(self, clips: Tensor) -> Any:
        if self.layer is None:
            return self.module(clips)
        seen: list[Any] = []

        def keep(_layer: nn.Module, _given: Any, output: Any) -> None:
            seen.append(output)
            # What comes after is not needed, and could change the output in place.
            raise _ReachedError

        handle = self._find(self.layer).register_forward_hook(keep)
        try:
            self.module(clips)
        except _ReachedError:
            return seen[0]
        finally:
            handle.remove()
        raise ValueError(
            f"layer {self.layer!r} was not reached in a forward pass: name another as features"
        )

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Features of clips, (B, C, T', H', W')."""
        clips = clips_BCTHW if self.layout == "BCTHW" else clips_BCTHW.transpose(1, 2)
        found = self._output(clips)
        while not isinstance(found, Tensor):  # a tuple, or an output of transformers
            parts: Any = list(found.values()) if isinstance(found, Mapping) else found
            if not isinstance(parts, list | tuple) or not parts:
                raise ValueError(
                    f"the module gives a {type(found).__name__}, expected a tensor: name the layer "
                    "whose output it is as features"
                )
            found = parts[0]
        if self.tokens is None:
            if found.ndim != 5 or len(found) != len(clips):
                raise ValueError(
                    f"features have the shape (B, C, T', H', W'), got {tuple(found.shape)} for "
                    f"B = {len(clips)}: name a layer before the pooling as features, or give "
                    "tokens=(T', H', W') if they are (B, N, C)"
                )
            return found
        if found.ndim != 3 or len(found) != len(clips):
            raise ValueError(
                f"tokens have the shape (B, N, C), got {tuple(found.shape)} for B = {len(clips)}: "
                "leave tokens out if these are features (B, C, T', H', W')"
            )
        num, wanted = found.shape[1] - self.num_prefix_tokens, math.prod(self.tokens)
        if num != wanted:
            grid = " x ".join(map(str, self.tokens))
            raise ValueError(
                f"tokens={self.tokens} are {grid} = {wanted}, the module gives {found.shape[1]} "
                f"for clips of {' x '.join(map(str, clips_BCTHW.shape[2:]))}, of which "
                f"num_prefix_tokens={self.num_prefix_tokens} have no place: give the grid and "
                "the prefix of this module, and clips of the size that it was made for"
            )
        cells = found[:, self.num_prefix_tokens :].transpose(1, 2)
        return cells.reshape(*cells.shape[:2], *self.tokens)


class ModuleBranch(Branch):
    """A branch around a module of one's own, with one head; made by :func:`from_module`."""

    def __init__(
        self,
        encoder: ModuleEncoder,
        projection: nn.Module | None,
        *,
        name: str,
        num_frames: int,
        size: int,
        normalisation: tuple[Sequence[float], Sequence[float]],
        cell_geometry: CellGeometry | None,
    ) -> None:
        nn.Module.__init__(self)
        self.arch, self.encoder_options = name, {}
        self.head_kind = "linear" if isinstance(projection, nn.Linear) else "none"
        self._set_clips(num_frames, size, normalisation)
        self.encoder = encoder
        head = FEATURES if projection is None else PROJECTION
        self.heads = (head,)
        self.projections = nn.ModuleDict(
            {head: nn.Identity() if projection is None else projection}
        )
        self.eval()
        features = self._try()
        self.num_features = features.shape[1]
        if cell_geometry is None:
            clip, cells = (num_frames, size, size), features.shape[2:]
            t, h, w = (pixels / num for pixels, num in zip(clip, cells, strict=True))
            cell_geometry = CellGeometry((t, h, w), (t / 2 - 0.5, h / 2 - 0.5, w / 2 - 0.5))
        self.cell_geometry = cell_geometry
        digest = hashlib.sha256(features.numpy().tobytes())
        for entry, tensor in self.state_dict().items():
            digest.update(entry.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        self.hash = digest.hexdigest()

    @torch.no_grad()
    def _try(self) -> Tensor:
        """Features of one clip of noise, always the same, after all checks of them."""
        shape = (1, 3, self.num_frames, self.size, self.size)
        clip = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        try:
            with evaluation_mode(self):
                features = self.features(clip.to(self.device)).float()
        except ValueError:
            raise
        except Exception as error:  # whatever a module of someone else's does
            raise ValueError(
                f"the module fails on clips {shape} ({self.encoder.layout}): "
                f"{type(error).__name__}: {error}. Give num_frames, size and layout as it expects"
            ) from error
        if not torch.isfinite(features).all():
            raise ValueError("the module's features of a clip of noise are not finite")
        try:
            z = self.head(self.heads[0])(global_average_pool(features))
        except Exception as error:
            raise ValueError(
                f"the projection fails on pooled features {(1, features.shape[1])}: {error}. Give "
                "one for as many features, such as torch.nn.Linear"
            ) from error
        if z.ndim != 2 or len(z) != 1:
            raise ValueError(f"a projection maps (B, C) to (B, D), got {tuple(z.shape)} for B = 1")
        return features.cpu()

    def spec(self) -> dict[str, Any]:
        """There is none.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            f"{self.arch!r} is a module of your own, which no model file describes: keep its "
            "weights in a file of your own, and load them where you call from_module"
        )

    def untrained(self) -> Branch:
        """The same module with new weights, drawn by torch's generator.

        Each layer with ``reset_parameters`` is initialised by it, as PyTorch does by default. The
        entries of parameters that no layer resets, such as position embeddings, change places at
        random, so that they keep their values and lose what these say.
        """
        other = copy.deepcopy(self)
        reset: set[int] = set()
        for part in other.modules():
            for method in ("reset_parameters", "_reset_parameters"):
                if callable(getattr(part, method, None)):
                    getattr(part, method)()
                    reset.update(id(own) for own in part.parameters(recurse=False))
        with torch.no_grad():
            for parameter in other.parameters():
                if id(parameter) not in reset:
                    order = torch.randperm(parameter.numel())
                    flat = parameter.flatten()[order.to(parameter.device)]
                    parameter.copy_(flat.view_as(parameter))
        other.hash = ""
        return other


def from_module(
    module: nn.Module,
    *,
    num_frames: int = 16,
    size: int = 224,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    features: str | None = None,
    tokens: Sequence[int] | None = None,
    num_prefix_tokens: int = 0,
    layout: Layout = "BCTHW",
    projection: nn.Module | None = None,
    cell_geometry: CellGeometry | None = None,
    name: str = "module",
) -> Branch:
    """A module of one's own as a branch that maps and studies take.

    The module goes through one clip of noise here, so that a mistake shows at once. It stays the
    same object, and is not copied.

    Args:
        module: Takes clips of pixels, and gives features or a container whose first item they are.
        num_frames: Frames of its clips.
        size: Height and width of its clips, in pixels.
        mean: Of the three channels, as its weights were made for, on pixels from 0 to 1.
        std: The same of the standard deviation.
        features: Layer whose output the features are, by its name in ``named_modules()``. Nothing:
            the module's own output.
        tokens: Cells along time, height and width, (T', H', W'), if the features are tokens
            (B, N, C), in this order. Nothing: they are (B, C, T', H', W').
        num_prefix_tokens: Tokens without a place, such as a class token, that come first.
        layout: Order of the clip's axes, ``BCTHW`` or ``BTCHW``.
        projection: Of the pooled features, (B, C) to (B, D): linear, or an ``nn.Sequential`` of
            linear layers and ReLU, for which exact maps are known.
        cell_geometry: Where the cells lie in a clip. Nothing: they divide it evenly, as patches do.
        name: What reports call it.

    Returns:
        A branch in evaluation mode with one head, ``features`` or ``projection``. Its ``hash`` is
        of the weights and of the features of the clip of noise.

    Raises:
        ValueError: An argument is out of range, or the module gives something else than was said.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from rspnet.models import from_module
        >>> network = nn.Sequential(nn.Conv3d(3, 8, 4, stride=4), nn.ReLU(), nn.AvgPool3d(2))
        >>> branch = from_module(network, num_frames=8, size=32, features="1", name="mine")
        >>> branch.heads, branch.num_features, branch.cell_geometry.stride
        (('features',), 8, (4.0, 4.0, 4.0))
        >>> branch(torch.randn(2, 3, 8, 32, 32))["features"].shape
        torch.Size([2, 8])
    """
    encoder = ModuleEncoder(
        module,
        features=features,
        tokens=tokens,
        num_prefix_tokens=num_prefix_tokens,
        layout=layout,
    )
    if not isinstance(projection, nn.Module | None):
        raise ValueError(f"projection is a torch.nn.Module or None, got {projection!r}")
    return ModuleBranch(
        encoder,
        projection,
        name=name,
        num_frames=num_frames,
        size=size,
        normalisation=(mean, std),
        cell_geometry=cell_geometry,
    )
