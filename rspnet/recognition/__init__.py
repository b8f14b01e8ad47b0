"""Action recognition: classifier, evaluation on videos, probes of frozen features."""
