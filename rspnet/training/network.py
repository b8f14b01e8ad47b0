"""The network of a pre-training, as its configuration says."""

from rspnet.models import Branch
from rspnet.pretext.network import TwoBranch
from rspnet.training.config import TrainConfig
from rspnet.weights.checkpoint import load_model


def create_network(config: TrainConfig) -> TwoBranch:
    """The two-branch network, with random weights or those of ``init_from``.

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
    network = TwoBranch(branch, config.loss.queue_length)
    if config.init_from is not None:
        for name, target in (("query", network.query), ("key", network.key)):
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
