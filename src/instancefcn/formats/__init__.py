"""What proposals become: a COCO data set or results list, a picture, a label map, labelme.

Each format is one file. ``apps.propose`` writes them; nothing here knows the network.
"""
