"""`explorer replay-search`: samplers search a space whose truth is known, and are compared by how soon they have it.

    table │ results folder ──sources──► Replayed ──contest──► Courses, one a sampler and seed ──► text, curves, page

problem   what has to be known of a space; a recorded one
sources   a space file, a table or a results folder as such a problem
course    one search, and how far it had come after each evaluation
contest   all of them, in processes of their own
summary   medians and quartiles
formats   for eyes and for scripts: text, curves, page
compare   from the first to the last

Every sampler is asked through the program's own `Search`, one candidate at a time: an ask is a distinct candidate, the
first one is the baseline, what is impossible is told as a violated constraint. How far a search has come is the share
of the hypervolume of all that there is. The benchmark of samplers counts by the same `course`.
"""
