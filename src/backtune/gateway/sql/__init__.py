"""The database of the gateway, its migrations, and leases. The records of each subject are in the subject's folder."""
