"""What is put to a model: triplets, perturbed clips, controls."""
