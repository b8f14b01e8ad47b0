"""Videos that are not files of this disk: members of tar shards, objects of a store.

``python -m rspnet.data.manifest ADDRESS`` lists them once and writes, into the cache folder, a
small *pointer* in the place of each video, and their table. All else takes the folder of pointers
as it takes any folder of videos: it is listed, labelled, sampled and resumed by names, sizes and
frame counts, and nothing is read for that. :class:`~rspnet.data.video.reader.VideoReader` fetches
what a pointer points to when its frames are needed.
"""
