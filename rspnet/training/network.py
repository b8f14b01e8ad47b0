"""The network of a pre-training, as its configuration says."""

from rspnet.models import Branch
from rspnet.pretext.method import METHODS, PretextMethod, method_settings
from rspnet.training.config import TrainConfig
from rspnet.weights.checkpoint import load_model


def create_network(config: TrainConfig) -> PretextMethod:
    """The method's network, with random weights or those of ``init_from``.

    Raises:
        ValueError: ``init_from`` is of another architecture.
    """
    branch = Branch(
        config.model.arch,
        config.model.options,
        head=config.model.head,
        num_frames=config.data.num_frames,
        size=config.data.size,
    )
    settings = method_settings(config.method, config.method_options, config.loss)
    network = METHODS[config.method](branch, settings)
    if config.init_from is not None:
        query, key = network.branches()
        for name, target in (("query", query), ("key", key)):
            if name == "key" and key is query:
                continue
            source = load_model(config.init_from, "key" if name == "key" else "query")
            for entry in ("arch", "encoder_options", "head_kind"):
                got, expected = getattr(source, entry), getattr(target, entry)
                if got != expected:
                    raise ValueError(
                        f"init_from: {config.init_from} has {entry} {got!r}, "
                        f"the configuration says {expected!r}"
                    )
            target.load_state_dict(source.state_dict())
    return network
