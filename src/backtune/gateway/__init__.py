"""Sweeps over HTTP: a thin service in front of Ray's jobs. It validates, records, submits and reports.

::

    server       uvicorn and, where no cluster is given, a Ray head of its own (head)
    app          the parts put together; middleware in order
    routes/      one file a resource; schemas: what goes in and comes out
    security/    who asks, and what they may
    specs        from a request to a sweep's spec
    records/     jobs in SQL, with migrations
    keeper/      one loop that brings records, Ray and the sweeps' folders into agreement
    jobs         the door to Ray's job API
    views        what a client sees of a job
    reports      reports and scripts, made in processes of their own
    observing/   request ids, logs, metrics
    problems     every refusal as problem+json
"""
