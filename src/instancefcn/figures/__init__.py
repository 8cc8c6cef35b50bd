"""How score maps separate instances: the paper's figures 1 and 3 for any image."""
