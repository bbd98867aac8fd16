"""What must outlive the gateway, in SQL. The only door to SQLAlchemy and Alembic."""
