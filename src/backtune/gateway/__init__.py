"""The gateway: a thin HTTP service that submits sweeps as Ray jobs. It validates, records, submits and reports.

::

    server          the process: uvicorn and, if no cluster is given, a Ray head of its own (local_head)
    app             the application: routes and middleware
    services        the objects that routes work with, built once
    settings        settings and limits of one gateway
    error_answers   every refusal as problem+json

    jobs/           submission, state, cancellation and results of jobs; the loop that reconciles them with Ray
    keys/           API keys, roles and authentication
    audit/          the log of who did what
    alerts/         messages about jobs that have ended
    reports/        reports and Pine scripts
    live/           changes of jobs, pushed over a socket
    catalog/        strategies and assets that a sweep can use
    monitoring/     health, metrics and the gateway's own log
    middleware/     checks and headers around all routes
    sql/            the database, its migrations, and leases

A folder of a subject has its routes in ``routes``, its database rows in ``records``, and what routes call in ``service``.
"""
