"""Alerts about the ends of jobs, sent to Slack, by e-mail, to a webhook, or to any other service that Apprise supports.

::

    rules      the file of alerts: the targets, and the events that each is notified of
    messages   the text of an alert
    delivery   sending a message to one target; the only door to Apprise
    notifier   the thread that looks for jobs that have ended and notifies the targets
"""
