"""Live updates: the changes of jobs, pushed over sockets. A job is read once a second, however many clients watch it.

::

    routes       the socket's route, and the key of a socket, sent in its first message
    session      one socket, from its key to its end
    messages     the messages that travel over a socket
    broadcaster  reading of the watched jobs, and the updates that wait to be sent to their watchers
"""
