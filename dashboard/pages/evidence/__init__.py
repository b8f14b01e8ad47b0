"""Evidence: what a report found about a model's two heads."""
