"""RSPNet: relative speed perception for unsupervised video representation learning."""
