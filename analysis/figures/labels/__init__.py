"""Figures of learned labels: outcomes, detection of wrong labels, images, the class label matrix."""
