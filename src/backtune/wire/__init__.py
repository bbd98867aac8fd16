"""The language that a gateway and its client share. It needs neither of them, and no library of a server.

::

    protocol    address of the API, codes and limits that both sides rely on
    api_key     the text of an API key
    signature   signatures of requests and of the first message on a socket
    answers     the types of what a gateway answers
"""
