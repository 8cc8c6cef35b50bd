"""What training and evaluation look at: data sets, image files, samples of them, downloads.

How annotations lie on disk is for ``formats``: each format there is a class that answers
``dataset.Dataset``, and a recipe names it by its ``class_path``.
"""
