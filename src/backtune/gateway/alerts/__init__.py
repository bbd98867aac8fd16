"""Who is told when a job ends: by Slack, e-mail, a webhook, and what else Apprise knows.

::

    rules      the file that says who is told what
    wording    what a job's end is worth telling, and in which words
    delivery   one message on its way; the only door to Apprise
    watcher    the loop: what has ended goes into the outbox in SQL, what is in there goes out
"""
