"""Jobs pushed to whoever watches them: one look at a job, however many do.

::

    messages   what goes over a socket
    updates    looks at the jobs that are watched
    outbound   what waits to be sent on one socket: of every job the newest
    session    one socket, from its key to its end
"""
