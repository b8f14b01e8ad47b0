"""What every training run shares: engine, configuration, optimiser, processes, run folder."""
