#!/bin/sh
# entrypoint.sh head | worker | gateway | mlflow [OPTIONS], or any other command as it stands.
set -eu

# health.py asks what this container is.
case "${1:-}" in
head | worker | gateway | mlflow) echo "$1" >"${BACKTUNE_ROLE_FILE:-/tmp/backtune-role}" ;;
esac

case "${1:-}" in
head)
    shift
    # The network of the containers is closed, and the token is asked for: the gateway reaches the dashboard from another one.
    exec ray start --head --block --disable-usage-stats --num-cpus="${RAY_CPUS:-0}" --port=6379 --include-dashboard=true \
        --dashboard-host=0.0.0.0 --dashboard-port=8265 --metrics-export-port=8090 "$@"
    ;;
worker)
    shift
    exec ray start --block --address="${RAY_HEAD:?RAY_HEAD must be the head, as in head:6379}" --metrics-export-port=8090 "$@"
    ;;
gateway)
    shift
    exec backtune serve --host 0.0.0.0 --port 8080 "$@"
    ;;
mlflow)
    shift
    exec mlflow server --host 0.0.0.0 --port 5000 \
        --backend-store-uri "${MLFLOW_BACKEND_STORE_URI:?MLFLOW_BACKEND_STORE_URI must be the database}" \
        --artifacts-destination "${MLFLOW_ARTIFACTS:?MLFLOW_ARTIFACTS must be a bucket, as in s3://bucket/mlflow}" \
        --allowed-hosts "${MLFLOW_ALLOWED_HOSTS:-localhost:*,127.0.0.1:*,mlflow:*}" "$@"
    ;;
*)
    exec "$@"
    ;;
esac
